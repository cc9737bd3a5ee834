use super::*;
use std::cell::RefCell;
use std::rc::Rc;

const CARD: u32 = 7;
const MAC: Mac = [2, 0, 0, 0, 0, 9];
const OTHER: Mac = [2, 0, 0, 0, 0, 8];

/// What the kernel would say, and how often it was asked.
#[derive(Default)]
struct Kernel {
    route: Option<Route>,
    neighbours: HashMap<IpAddr, Neighbour>,
    asked: u32,
}

impl Oracle for Rc<RefCell<Kernel>> {
    fn route(&mut self, _: IpAddr) -> Result<Option<Route>, Errno> {
        self.borrow_mut().asked += 1;
        Ok(self.borrow().route)
    }

    fn neighbour(&mut self, interface: u32, address: IpAddr) -> Result<Option<Neighbour>, Errno> {
        assert_eq!(interface, CARD);
        Ok(self.borrow().neighbours.get(&address).copied())
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn at(milliseconds: u64) -> Instant {
    Instant::default() + Duration::from_millis(1_000_000 + milliseconds)
}

fn table() -> (Rc<RefCell<Kernel>>, Neighbours<Rc<RefCell<Kernel>>>) {
    let kernel = Rc::new(RefCell::new(Kernel::default()));
    kernel.borrow_mut().route = Some(Route { interface: CARD, router: None, from: None, is_unicast: true });
    (Rc::clone(&kernel), Neighbours::new(kernel, CARD))
}

fn know(kernel: &Rc<RefCell<Kernel>>, address: &str, mac: Option<Mac>, is_confirmed: bool) {
    kernel.borrow_mut().neighbours.insert(ip(address), Neighbour { mac, is_confirmed });
}

fn frames(mac: Mac) -> Way {
    Way::Frames { mac, from: None }
}

#[test]
fn an_unknown_neighbour_is_left_to_the_kernel_until_it_is_known() {
    let (kernel, mut table) = table();
    let to = ip("192.0.2.2");
    assert_eq!(table.way(to, at(0)), Way::Kernel);
    assert_eq!(table.way(to, at(49)), Way::Kernel);
    assert_eq!(kernel.borrow().asked, 1, "asked again at once");
    know(&kernel, "192.0.2.2", Some(MAC), true);
    assert_eq!(table.way(to, at(50)), frames(MAC));
    assert_eq!(table.way(to, at(60)), frames(MAC));
    assert_eq!(kernel.borrow().asked, 2);
}

#[test]
fn another_address_of_ethernet_is_seen_after_some_seconds() {
    let (kernel, mut table) = table();
    let to = ip("192.0.2.2");
    know(&kernel, "192.0.2.2", Some(MAC), true);
    assert_eq!(table.way(to, at(0)), frames(MAC));
    know(&kernel, "192.0.2.2", Some(OTHER), true);
    assert_eq!(table.way(to, at(2_999)), frames(MAC));
    assert_eq!(table.way(to, at(3_000)), frames(OTHER));
    know(&kernel, "192.0.2.2", None, false);
    assert_eq!(table.way(to, at(6_000)), Way::Kernel);
}

/// The kernel only looks whether a neighbour is still there when it sends to it itself.
#[test]
fn of_a_neighbour_not_heard_from_one_train_goes_through_the_kernel() {
    let (kernel, mut table) = table();
    let to = ip("192.0.2.2");
    know(&kernel, "192.0.2.2", Some(MAC), false);
    for begin in [0, 3_000] {
        assert_eq!(table.way(to, at(begin)), Way::Kernel);
        assert_eq!(table.way(to, at(begin)), frames(MAC));
        assert_eq!(table.way(to, at(begin + 2_999)), frames(MAC));
    }
}

#[test]
fn behind_a_router_its_address_counts() {
    let (kernel, mut table) = table();
    let from = Some(ip("192.0.2.7"));
    let router = Some(ip("192.0.2.1"));
    kernel.borrow_mut().route = Some(Route { interface: CARD, router, from, is_unicast: true });
    know(&kernel, "192.0.2.1", Some(MAC), true);
    assert_eq!(table.way(ip("203.0.113.5"), at(0)), Way::Frames { mac: MAC, from });
}

#[test]
fn what_does_not_leave_over_this_card_is_the_kernels() {
    let (kernel, mut table) = table();
    know(&kernel, "192.0.2.2", Some(MAC), true);
    let routes = [
        Some(Route { interface: CARD + 1, router: None, from: None, is_unicast: true }),
        Some(Route { interface: CARD, router: None, from: None, is_unicast: false }),
        None,
    ];
    for (second, route) in routes.into_iter().enumerate() {
        kernel.borrow_mut().route = route;
        let now = at(second as u64 * 3_000);
        assert_eq!(table.way(ip("192.0.2.2"), now), Way::Kernel);
    }
    assert_eq!(kernel.borrow().asked, 3);
}

#[test]
fn answers_go_back_to_where_the_question_came_from_until_the_kernel_says_otherwise() {
    let (kernel, mut table) = table();
    let peer = ip("192.0.2.2");
    table.learn(peer, MAC, at(0));
    assert_eq!(table.way(peer, at(1)), frames(MAC));
    assert_eq!(kernel.borrow().asked, 0);
    // What is known already is not changed by a frame.
    table.learn(peer, OTHER, at(2));
    assert_eq!(table.way(peer, at(3)), frames(MAC));
    know(&kernel, "192.0.2.2", Some(OTHER), true);
    assert_eq!(table.way(peer, at(3_000)), frames(OTHER));
}

#[test]
fn strangers_neither_fill_the_table_for_ever_nor_make_us_ask_all_day() {
    let (kernel, mut table) = table();
    let stranger = |number: u32| IpAddr::from((0x0a00_0000_u32 + number).to_be_bytes());
    (0..10_000).for_each(|number| table.learn(stranger(number), MAC, at(0)));
    assert_eq!(table.entries.len(), ADDRESSES_MAX);
    assert_eq!(table.way(ip("192.0.2.2"), at(1)), Way::Kernel);
    assert_eq!(kernel.borrow().asked, 0);
    // Those that are used stay, the others go.
    assert_eq!(table.way(stranger(5), at(2_000)), frames(MAC));
    know(&kernel, "192.0.2.2", Some(MAC), true);
    assert_eq!(table.way(ip("192.0.2.2"), at(30_500)), frames(MAC));
    assert_eq!(table.entries.len(), 2);
    let before = kernel.borrow().asked;
    (0..1_000).for_each(|number| assert_eq!(table.way(stranger(1_000 + number), at(40_000)), Way::Kernel));
    assert_eq!(kernel.borrow().asked - before, ASKED_PER_WINDOW);
}
