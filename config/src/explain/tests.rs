use super::*;

fn paths(answer: Answer) -> Vec<(File, String)> {
    match answer {
        Answer::Keys(entries) => entries.into_iter().map(|entry| (entry.file, entry.path)).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_is_found_by_its_path_and_by_the_end_of_it() {
    let identifier = (File::Server, "Server.Identifier".to_owned());
    assert!(paths(explain("server.identifier")).contains(&identifier));
    assert!(paths(explain("Identifier")).contains(&identifier));
    assert!(paths(explain("Identifier")).len() > 1, "nodes, authorities and peers have one");
    assert_eq!(paths(explain("[dataplane]")), [(File::Own, "dataplane".to_owned())]);
    assert_eq!(paths(explain("spread_delays")), [(File::Own, "dataplane.spread_delays".to_owned())]);
}

#[test]
fn what_is_said_is_what_the_manual_says() {
    let Answer::Keys(entries) = explain("dataplane.batch_wait_us") else { panic!("it is there") };
    let [entry] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!((entry.kind, entry.default), ("integer", "500 us"));
    assert!(crate::manual::markdown().contains(&entry.meaning), "{}", entry.meaning);
    let Answer::Keys(tables) = explain("Management") else { panic!("it is there") };
    assert!(tables[0].keys.contains(&"Enable"), "{tables:?}");
}

#[test]
fn retired_keys_say_what_became_of_them() {
    for (key, file, said) in [
        ("Server.IsProvider", File::Server, "IsGatewayNode"),
        ("Gateway.EnableUserRegistrationHTTP", File::Server, "ADD_USER"),
        ("Authority", File::Authority, "[Server]"),
        ("Providers", File::Authority, "[[GatewayNodes]]"),
        ("Mixes.IdentityKey", File::Authority, "IdentityPublicKeyPem"),
        ("Authorities.IdentityPublicKeyPem", File::Authority, "IdentityPublicKey,"),
        ("PinnedProviders", File::Client, "[[PinnedGateways.Gateways]]"),
        ("VotingAuthority.Peers.LinkPublicKeyPem", File::Client, "LinkPublicKey,"),
    ] {
        let told = explain(key);
        assert!(matches!(told, Answer::Retired(of, hint) if of == file && hint.contains(said)), "{key}: {told:?}");
    }
}

#[test]
fn a_misspelt_key_is_guessed_and_nonsense_is_not() {
    assert_eq!(explain("Server.Identifer"), Answer::Unknown(Some("Server.Identifier".into())));
    assert_eq!(explain("Identifer"), Answer::Unknown(Some("Identifier".into())));
    for nonsense in ["", ".", "xyzzy.plugh", "\u{fffd}", &"a".repeat(1 << 16)] {
        assert_eq!(explain(nonsense), Answer::Unknown(None), "{nonsense:?}");
    }
}

#[test]
fn every_key_of_the_manual_can_be_explained() {
    for entry in all() {
        assert!(paths(explain(&entry.path)).contains(&(entry.file, entry.path.clone())), "{}", entry.path);
        assert!(!entry.meaning.is_empty() && !entry.default.is_empty(), "{}", entry.path);
    }
}
