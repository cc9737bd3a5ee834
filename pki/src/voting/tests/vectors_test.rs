//! Four rounds of three reference authorities, each of them replaced by ours in turn.

use super::*;
use crate::certificate::Certificate;
use crate::document::{Document, parse};
use crate::epoch::EpochClock;
use serde_json::Value as Json;
use vectors::{hex, verify};

fn byte(seed: &Json) -> u8 {
    hex(seed)[0]
}

fn text(value: &Json) -> String {
    value.as_str().unwrap_or_default().into()
}

fn vote_of(round: &Json, authority: usize) -> Document {
    let raw = hex(&round["votes"][authority]);
    parse(&raw, Epoch(0)).expect("a vote").1
}

/// The configuration of the transcript's authorities.
fn configured(file: &Json, own: usize) -> Configuration {
    let list = |value: &Json| value.as_array().cloned().unwrap_or_default();
    let authority = |entry: Json| Authority {
        name: text(&entry["identifier"]),
        identity: key(byte(&entry["ed25519_seed"])),
        link_key: Vec::new(),
        addresses: Vec::new(),
    };
    let authorities = list(&file["authorities"]).into_iter().map(authority).collect();
    let nodes = list(&file["nodes"]);
    let of_kind = |kind: &str| {
        let found = nodes.iter().filter(|node| node["kind"] == kind);
        found.map(|node| Member { name: text(&node["name"]), identity: key(byte(&node["ed25519_seed"])) }).collect()
    };
    let mixes: Vec<Member> = of_kind("mix");
    let layer = |layer| mixes.iter().skip(layer).step_by(3).map(|mix| *mix.identity.id()).collect();
    let document = vote_of(&file["rounds"][0], 0);
    let numbers: BTreeMap<&[u8], u8> = document
        .configured_replica_identity_keys
        .iter()
        .map(Vec::as_slice)
        .zip(document.configured_replica_ids.iter().copied())
        .collect();
    let replica =
        |Member { name, identity }: Member| ReplicaMember { name, replica_id: numbers[identity.bytes()], identity };
    let rate = |name: &str| file["parameters"][name].as_f64().unwrap_or_default();
    Configuration {
        authorities: Arc::new(Authorities::new(authorities).expect("authorities")),
        own,
        scheme_text: "Ed25519".into(),
        parameters: Parameters {
            mu: rate("Mu"),
            lambda_p: rate("LambdaP"),
            lambda_l: rate("LambdaL"),
            lambda_m: rate("LambdaM"),
            lambda_r: rate("LambdaR"),
        },
        topology: Topology::Fixed((0..3).map(layer).collect()),
        gateways: of_kind("gateway"),
        service_nodes: of_kind("service"),
        replicas: of_kind("replica").into_iter().map(replica).collect(),
        mixes,
        geometry_hash: document.sphinx_geometry_hash.as_slice().try_into().expect("32 bytes"),
        mix_key_bytes: None,
    }
}

struct Replay<'a> {
    voting: Voting,
    own: usize,
    round: &'a Json,
    epoch: Epoch,
    clock: EpochClock,
}

impl Replay<'_> {
    fn at(&self, eighths: u32) -> EpochTime {
        let start = self.clock.start(self.epoch.before(1));
        self.clock.now(start + self.clock.period() * eighths / 8).expect("after epoch 0")
    }

    /// Polls, and gives what is sent and published.
    fn poll(&mut self, eighths: u32) -> (Option<Message>, Option<Arc<[u8]>>) {
        let now = self.at(eighths);
        let (mut sent, mut published) = (None, None);
        for output in self.voting.poll(&now, &mut fixture::random()) {
            match output {
                Output::Send { message, .. } => sent = Some(message),
                Output::Published { raw, .. } => published = Some(raw),
                Output::Notice(notice) => assert!(notice.level() < Level::Error, "{notice}"),
                _ => {}
            }
        }
        (sent, published)
    }

    /// The other authorities' messages of one kind, and what is said to them.
    fn receive(&mut self, kind: MessageKind, list: &str, eighths: u32) -> Vec<u8> {
        let now = self.at(eighths);
        let mut codes = Vec::new();
        let configuration = self.voting.configuration().clone();
        for (author, authority) in configuration.authorities.list().iter().enumerate() {
            if author == self.own {
                continue;
            }
            let payload: Arc<[u8]> = hex(&self.round[list][author]).into();
            let message = Message { kind, epoch: self.epoch, public_key: authority.identity.bytes().into(), payload };
            let inspected = configuration.inspect(&Peer::Authority(author), Request::Message(message), &now);
            codes.push(self.voting.handle(inspected, &now).reply.code());
        }
        codes
    }

    /// Puts the transcript's commit and reveal, which came of unknown randomness, in the place of the own ones.
    fn replace_own_commit(&mut self) {
        let own = *self.voting.configuration.own().identity.id();
        let theirs = vote_of(self.round, self.own);
        let ours = self.voting.round.votes.get(&own).expect("the own vote");
        let sorted = |document: &Document| {
            let mut all: Vec<_> = document.nodes().map(|(_, node)| node.encode()).collect();
            all.extend(document.storage_replicas.iter().map(ReplicaDescriptor::encode));
            all.sort();
            all
        };
        assert_eq!(sorted(ours), sorted(&theirs), "the nodes of the vote");
        let bare = |document: &Document| Document {
            topology: Vec::new(),
            gateway_nodes: Vec::new(),
            service_nodes: Vec::new(),
            storage_replicas: Vec::new(),
            shared_random_commit: BTreeMap::new(),
            ..document.clone()
        };
        assert_eq!(bare(ours).encode(), bare(&theirs).encode(), "all else in the vote");
        self.voting.round.held.commits.insert(own, theirs.shared_random_commit[&own].clone());
        self.voting.round.held.reveals.insert(own, hex(&self.round["reveals"][self.own]));
    }

    fn run(&mut self) -> Result<(), String> {
        assert_eq!(self.poll(0), (None, None));
        let theirs = vote_of(self.round, self.own);
        let nodes = theirs.nodes().map(|(_, node)| (node.id(), node.clone())).collect();
        let replicas = theirs.storage_replicas.iter().map(|replica| (replica.id(), replica.clone())).collect();
        self.voting.descriptors.insert(self.epoch, nodes);
        self.voting.replica_descriptors.insert(self.epoch, replicas);
        let (vote, _) = self.poll(1);
        assert_eq!(vote.ok_or("no vote")?.kind, MessageKind::Vote);
        self.replace_own_commit();
        assert_eq!(self.receive(MessageKind::Vote, "votes", 1), [0, 0]);
        let expected = |list: &str| hex(&self.round[list][self.own]);
        let (reveals, certificates) = (expected("reveals"), expected("certificates"));
        let signatures = expected("signature_payloads");
        let (reveal, _) = self.poll(2);
        assert_eq!(reveal.ok_or("no reveal")?.payload[..], reveals);
        assert_eq!(self.receive(MessageKind::Reveal, "reveals", 2), [8, 8]);
        let (certificate, _) = self.poll(3);
        assert_eq!(certificate.ok_or("no certificate")?.payload[..], certificates, "certificate");
        assert_eq!(self.receive(MessageKind::Certificate, "certificates", 3), [14, 14]);
        let (signature, _) = self.poll(4);
        assert_eq!(signature.ok_or("no signature")?.payload[..], signatures, "signature");
        assert_eq!(self.receive(MessageKind::Signature, "signature_payloads", 4), [20, 20]);
        let (_, published) = self.poll(5);
        assert_eq!(published.ok_or("no consensus")?[..], hex(&self.round["consensus"]), "consensus");
        Ok(())
    }
}

#[test]
fn recorded_rounds_of_the_reference_come_out_byte_for_byte() {
    verify("pki_vote_rounds.json", "/rounds/3/consensus", |file, tally| {
        let clock = EpochClock::default();
        for own in 0..3 {
            let configuration = configured(file, own);
            let signer = signer(byte(&file["authorities"][own]["ed25519_seed"]));
            let first = Epoch(file["rounds"][0]["epoch"].as_u64().ok_or("no epoch")?);
            let now = clock.now(clock.start(first.before(1))).map_err(|error| error.to_string())?;
            let voting = Voting::new(Arc::new(configuration), signer, Vec::new(), &now);
            let mut voting = voting.map_err(|error| error.to_string())?;
            for round in file["rounds"].as_array().ok_or("no rounds")? {
                let epoch = Epoch(round["epoch"].as_u64().ok_or("no epoch")?);
                let mut replay = Replay { voting, own, round, epoch, clock };
                replay.run().map_err(|error| format!("authority {own}, epoch {epoch}: {error}"))?;
                voting = replay.voting;
                tally.assert_case();
            }
        }
        Ok(())
    });
}

/// The certificates' own form of the shared random: signed values of one authority.
#[test]
fn signed_commits_and_reveals_are_certificates_of_forty_bytes() {
    verify("pki_sharedrandom.json", "/authorities/0/signed_commit", |file, tally| {
        for (number, entry) in (1..).zip(file["authorities"].as_array().ok_or("no authorities")?) {
            for (signed, part) in [("signed_commit", "commit"), ("signed_reveal", "reveal")] {
                let raw = hex(&entry[signed]);
                let certificate = Certificate::decode(&raw).map_err(|error| error.to_string())?;
                assert_eq!(certificate.encode(), raw);
                assert_eq!(certificate.certified, hex(&entry[part]));
                let verified =
                    shared_random::verify(&key(number), &raw, Epoch(1)).map_err(|error| error.to_string())?;
                assert_eq!(verified[..], hex(&entry[part]));
                tally.assert_case();
            }
        }
        Ok(())
    });
}
