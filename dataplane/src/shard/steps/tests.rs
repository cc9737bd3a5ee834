use super::*;
use crate::shared::DestinationId;

fn waiter(number: u32) -> Waiter {
    Waiter::Outgoing(DestinationId(number))
}

#[test]
fn neighbours_go_first() {
    let mut steps = Steps::default();
    steps.push(waiter(0), false);
    (1..=3).for_each(|number| steps.push(waiter(number), true));
    let order: Vec<_> = std::iter::from_fn(|| steps.pop()).collect();
    assert_eq!(order, [1, 2, 3, 0].map(waiter));
    assert!(steps.is_empty());
}

/// A neighbour that means harm can always have a handshake waiting.
#[test]
fn neighbours_without_end_do_not_starve_strangers() {
    let mut steps = Steps::default();
    let stranger = u32::MAX;
    steps.push(waiter(stranger), false);
    steps.push(waiter(stranger), false);
    let mut strangers_at = Vec::new();
    for number in 0..40 {
        steps.push(waiter(number), true);
        if steps.pop() == Some(waiter(stranger)) {
            strangers_at.push(number);
        }
    }
    assert_eq!(strangers_at, [7, 15]);
}
