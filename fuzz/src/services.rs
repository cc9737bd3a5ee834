//! What a service node reads: requests from anybody, and what plugins write.

use crate::{Target, Verdict};
use service::keyserver::{self, KeyList};
use service::plugin::{Message, Messages, Parameters, http};
use service::{Answer, Responder};
use sphinx::plaintext::BlockSphinxPlaintext;
use sphinx::{Geometry, PAYLOAD_TAG_BYTES};
use std::sync::LazyLock;

/// The content of a packet that a service node has unwrapped.
pub const REQUEST: Target = Target { name: "service_request", run: request, seeds: requests };
/// What a plugin writes: one byte of how it is cut, then messages.
pub const PLUGIN: Target = Target { name: "service_plugin", run: plugin, seeds: messages };

/// The body of an answer over HTTP.
pub const PLUGIN_HTTP: Target = Target { name: "service_plugin_http", run: plugin_http, seeds: answers };

/// A request to the keyserver: JSON with zeros behind it, from anybody.
pub const KEYSERVER: Target = Target { name: "service_keyserver", run: keyserver, seeds: questions };

/// What a plugin wants to be published, by either protocol.
pub const PLUGIN_PARAMETERS: Target =
    Target { name: "service_plugin_parameters", run: plugin_parameters, seeds: parameters };

static GEOMETRY: LazyLock<Geometry> =
    LazyLock::new(|| Geometry::nike("x25519", 100, 5, true).expect("a sound geometry"));

fn requests() -> Vec<Vec<u8>> {
    let surb = vec![5; GEOMETRY.surb_length];
    let build = |surb: Option<&[u8]>| BlockSphinxPlaintext::build(&GEOMETRY, surb, b"request").expect("it fits");
    vec![build(None), build(Some(&surb))]
}

fn request(data: &[u8]) -> Verdict {
    let mut packet = vec![0; GEOMETRY.header_length + PAYLOAD_TAG_BYTES];
    packet.extend_from_slice(data);
    let mut responder = Responder::new(&GEOMETRY);
    let Ok(request) = responder.read(&packet) else { return Verdict::Refused };
    assert_eq!(responder.payload(&packet).len(), GEOMETRY.user_forward_payload_length);
    let mut other = packet.clone();
    let kept = responder.reply_block(&packet).to_vec();
    let first_hop = responder.answer(&mut packet, Answer::Empty).expect("whatever a reply block holds");
    assert_eq!(responder.reply(&mut other, &kept, Answer::Empty), Ok(first_hop));
    assert_eq!(packet, other);
    let _ = request.wants_reply;
    Verdict::Accepted
}

fn messages() -> Vec<Vec<u8>> {
    let mut bytes = vec![3];
    for (id, surb) in [(1, None), (u64::MAX, Some(&[7; 40][..]))] {
        Message { request_at: Some(1_700_000_000), id, payload: b"answer", surb, ..Message::default() }
            .encode(&mut bytes);
    }
    let parameters = Some(Parameters::Told(b"\xa1aaab"));
    Message { parameters, ..Message::default() }.encode(&mut bytes);
    // Null numbers, strings in pieces, an array for a string, tags.
    let odd =
        b"\xc8\xa4\x62ID\xf6\x65Delay\xf6\x67Payload\x5f\x41a\x41b\xff\x64SURB\x82\x01\x02\xa1\x62id\xc5\x01".to_vec();
    vec![bytes, odd]
}

fn plugin(data: &[u8]) -> Verdict {
    let Some((cut, stream)) = data.split_first() else { return Verdict::Refused };
    let mut read = Messages::new(1000);
    let mut is_read = false;
    for chunk in stream.chunks(usize::from(*cut).max(1)) {
        read.push(chunk);
        loop {
            match read.next_message() {
                Ok(Some(message)) => {
                    let mut again = Vec::new();
                    message.encode(&mut again);
                    let mut reader = Messages::new(again.len());
                    reader.push(&again);
                    assert_eq!(reader.next_message(), Ok(Some(message)));
                    is_read = true;
                }
                Ok(None) => break,
                Err(_) => return Verdict::Refused,
            }
        }
    }
    Verdict::of(is_read)
}

fn answers() -> Vec<Vec<u8>> {
    let mut message = Vec::new();
    Message { id: 1, payload: b"answer", ..Message::default() }.encode(&mut message);
    vec![
        message,
        b"\xa1gPayloadFanswer".to_vec(),
        b"\xbfgpayload\x5fAaAb\xff\xff".to_vec(),
        b"\xa1gPayload\xf6".to_vec(),
    ]
}

fn plugin_http(data: &[u8]) -> Verdict {
    let Ok(payload) = http::answer(data) else { return Verdict::Refused };
    // What is written as a request is read in the same way.
    let call = http::Call { id: 1, payload: &payload, has_surb: true };
    assert_eq!(http::answer(&call.encode()), Ok(payload.clone()));
    Verdict::Accepted
}

fn questions() -> Vec<Vec<u8>> {
    vec![br#"{"Version":0,"User":"alice"}"#.to_vec(), [br#"{"User":"\u0000"}"#.as_slice(), &[0; 40]].concat()]
}

fn keyserver(data: &[u8]) -> Verdict {
    let keys = KeyList::parse("alice 0123\nbob 4567\n").expect("a list");
    let reply = keyserver::answer(data, &keys);
    let text = std::str::from_utf8(&reply).expect("JSON is text");
    assert!(text.starts_with(r#"{"PublicKey":""#) && text.ends_with(r#","Version":0}"#), "{text}");
    Verdict::of(!text.contains(r#""StatusCode":1,"#))
}

fn parameters() -> Vec<Vec<u8>> {
    vec![b"\xa1aaab".to_vec(), b"\xf6".to_vec(), b"\xa2aa\x82\x01\x02ab\xa1ac\xf5".to_vec()]
}

fn plugin_parameters(data: &[u8]) -> Verdict {
    let Ok(parameters) = controlplane::plugins::read_parameters(data) else { return Verdict::Refused };
    assert!(parameters.len() <= data.len());
    Verdict::Accepted
}
