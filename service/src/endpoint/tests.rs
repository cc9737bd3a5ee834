use super::recipient;

#[test]
fn an_endpoint_is_padded_with_zeros_and_has_to_fit() {
    let echo = recipient("+echo").expect("it fits");
    assert_eq!((&echo[..5], &echo[5..]), (&b"+echo"[..], &[0; 27][..]));
    assert_eq!(recipient(&"e".repeat(32)), Some([b'e'; 32]));
    assert_eq!([recipient(""), recipient(&"e".repeat(33))], [None, None]);
}
