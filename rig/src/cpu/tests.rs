use super::Placement;

/// Two threads for each core, numbered as Linux numbers them: the second halves come after all the first.
fn halves_of(cores: usize) -> impl Fn(usize) -> usize {
    move |processor| processor % cores
}

#[test]
fn node_and_rig_get_cores_of_their_own() {
    let placement = Placement::choose(&[0, 1, 2, 3], halves_of(2), 1);
    assert_eq!(
        placement,
        Placement { node: vec![0], rig: Some(1), caller: Some(2), mills: vec![2, 3], shares_core: false }
    );
    // As virtual machines number them: halves side by side.
    let placement = Placement::choose(&[0, 1, 2, 3], |processor| processor / 2, 1);
    assert_eq!(
        placement,
        Placement { node: vec![0], rig: Some(2), caller: Some(1), mills: vec![1, 3], shares_core: false }
    );
}

#[test]
fn two_halves_of_one_core_are_told() {
    let placement = Placement::choose(&[0, 1], |_| 0, 1);
    assert_eq!(
        placement,
        Placement { node: vec![0], rig: Some(1), caller: Some(1), mills: vec![1], shares_core: true }
    );
    assert!(Placement::choose(&[4, 5, 6, 7], halves_of(2), 2).shares_core);
}

#[test]
fn too_few_processors_pin_nobody_who_would_be_in_the_way() {
    let placement = Placement::choose(&[0, 1], |processor| processor, 2);
    assert_eq!(
        placement,
        Placement { node: vec![0, 1], rig: None, caller: None, mills: Vec::new(), shares_core: false }
    );
    assert_eq!(Placement::choose(&[0, 1], |processor| processor, 3), Placement::default());
}
