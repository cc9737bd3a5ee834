use super::certificate::generate;
use super::parameters::{changed, take_number};
use super::*;

#[test]
fn the_certificate_is_the_references_but_for_key_and_signature() {
    let key = generate().expect("a certificate");
    let der = key.cert[0].as_ref();
    assert_eq!(der.len(), 178);
    // Serial number 1, Ed25519, nobody, the year 1 twice, nobody.
    let begin = "3081af3063a003020102020101300506032b65703000302218";
    assert_eq!(der[..begin.len() / 2].iter().map(|byte| format!("{byte:02x}")).collect::<String>(), begin);
    assert!(der.windows(15).filter(|window| *window == b"00010101000000Z").count() == 2);
    assert_ne!(der, generate().expect("a certificate").cert[0].as_ref(), "each has a key of its own");
}

/// The parameters in bytes, as (id, value).
fn parsed(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let id = take_number(&mut bytes).expect("an id");
        let length = take_number(&mut bytes).expect("a length") as usize;
        found.push((id, bytes[..length].to_vec()));
        bytes = &bytes[length..];
    }
    found.sort();
    found
}

#[test]
fn parameters_that_the_library_chooses_are_replaced() {
    // An idle time-out, a limit of 5 ids, a shortest delay of acknowledgements.
    let bytes = [1, 4, 0x80, 0, 0x75, 0x30, 0x0e, 1, 5, 0xc0, 0, 0, 0, 0xff, 4, 0xde, 0x1b, 2, 0x43, 0xe8];
    let expected =
        vec![(1, vec![0x80, 0, 0x75, 0x30]), (0x0b, vec![ACK_DELAY_MS_MAX]), (0x0e, vec![CONNECTION_ID_LIMIT])];
    assert_eq!(parsed(&changed(&bytes).expect("they are well-formed")), expected);
    for end in 1..bytes.len() {
        // Whatever is cut off: no panic.
        let _found = changed(&bytes[..end]);
    }
}

#[test]
fn first_ids_are_as_long_as_the_references() {
    let lengths: Vec<usize> = (0..500).map(|_| first_id().len()).collect();
    assert_eq!((lengths.iter().min(), lengths.iter().max()), (Some(&8), Some(&20)));
}

#[test]
fn a_process_can_be_warmed_up() {
    warm_up().expect("QUIC's settings");
}

/// Keeps what a dialler would say, and says nothing.
struct Captured(std::sync::Mutex<Vec<u8>>);

impl quinn_proto::crypto::ClientConfig for Captured {
    fn start_session(
        self: Arc<Self>,
        _version: u32,
        _server_name: &str,
        params: &quinn_proto::transport_parameters::TransportParameters,
    ) -> Result<Box<dyn quinn_proto::crypto::Session>, quinn_proto::ConnectError> {
        params.write(&mut *self.0.lock().expect("no panic"));
        Err(quinn_proto::ConnectError::EndpointStopping)
    }
}

#[test]
fn a_dialler_announces_what_the_reference_announces_and_nothing_else() {
    let captured = Arc::new(Captured(std::sync::Mutex::default()));
    let mut config = ClientConfig::new(Arc::new(Dialler(captured.clone())));
    config.transport_config(Arc::new(transport(Windows::default())));
    let config_of_all = Arc::new(endpoint_config(Side::Client));
    let mut endpoint = quinn_proto::Endpoint::new(config_of_all, None, true, None);
    let to = std::net::SocketAddr::from(([192, 0, 2, 1], 443));
    assert!(endpoint.connect(std::time::Instant::now(), config, to, "192.0.2.1").is_err());
    let said = parsed(&captured.0.lock().expect("no panic"));
    let number = |mut bytes: &[u8]| if bytes.is_empty() { None } else { take_number(&mut bytes) };
    let said: Vec<_> = said.iter().map(|(id, value)| (*id, number(value))).collect();
    let window = Some(512 << 10);
    let expected = [
        (0x01, Some(30_000)),
        (0x03, Some(1452)),
        (0x04, Some(768 << 10)),
        (0x05, window),
        (0x06, window),
        (0x07, window),
        (0x08, Some(100)),
        (0x09, Some(100)),
        (0x0b, Some(26)),
        (0x0e, Some(4)),
        // Its own id, which is empty.
        (0x0f, None),
    ];
    assert_eq!(said, expected);
}

#[test]
fn the_first_datagrams_are_as_large_as_the_references() {
    let mut endpoint = quinn_proto::Endpoint::new(Arc::new(endpoint_config(Side::Client)), None, true, None);
    let (to, now) = (std::net::SocketAddr::from(([192, 0, 2, 1], 443)), std::time::Instant::now());
    let config = client_config().expect("QUIC's settings");
    let (_, mut connection) = endpoint.connect(now, config, to, &server_name(to.ip())).expect("a connection");
    let mut bytes = Vec::new();
    let mut sizes = Vec::new();
    while let Some(transmit) = connection.poll_transmit(now, 10, &mut bytes) {
        let segment = transmit.segment_size.unwrap_or(transmit.size);
        sizes.extend(bytes.chunks(segment).map(<[u8]>::len));
        bytes.clear();
    }
    // Its key shares take two.
    assert_eq!(sizes, [usize::from(FIRST_DATAGRAM_BYTES); 2]);
}
