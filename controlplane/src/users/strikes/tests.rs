use super::*;

#[test]
fn one_name_is_no_program() {
    let mut strikes = Strikes::default();
    let [one, two, three] = [1, 2, 3].map(|number| UserId([number; 32]));
    assert!((0..100).all(|_| !strikes.strike(&one)));
    assert!(!strikes.strike(&two));
    strikes.clear(UserId([9; 32]), b"key");
    assert!(!strikes.strike(&two) && !strikes.strike(&three) && !strikes.strike(&two));
    assert!(strikes.strike(&one) && strikes.strike(&one));
    strikes.clear(UserId([9; 32]), b"key");
    assert!(!strikes.strike(&one));
}
