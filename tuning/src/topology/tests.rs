use super::*;
use crate::fixture::Tree;

fn profile() -> Profile {
    Profile::named("zen3").expect("a shipped one")
}

fn placed(tree: &Tree, pins: Option<&[usize]>) -> Placement {
    let host = tree.host();
    Topology::of(&host).placement(&profile(), &cards(&host), pins)
}

#[test]
fn shards_go_to_cores_at_the_card() {
    let placement = placed(&Tree::server(8), None);
    assert_eq!((placement.shards, placement.pins), (4, vec![4, 5, 6, 7]));
    assert_eq!((to_list(&placement.siblings), to_list(&placement.others)), ("12-15".into(), "0-3,8-11".into()));
}

#[test]
fn shards_go_to_isolated_cores_where_there_are_some() {
    let tree = Tree::server(8);
    tree.set("/sys/devices/system/cpu/isolated", "2-3,10-11");
    let placement = placed(&tree, None);
    assert_eq!((placement.pins, to_list(&placement.siblings)), (vec![2, 3], "10-11".into()));
}

#[test]
fn an_operator_may_choose() {
    let placement = placed(&Tree::server(8), Some(&[9, 1, 2]));
    assert_eq!((placement.shards, placement.pins.as_slice()), (3, &[9, 1, 2][..]));
    assert_eq!(to_list(&placement.siblings), "10");
}

#[test]
fn small_hosts_are_not_pinned() {
    let placement = placed(&Tree::server(2), None);
    assert_eq!((placement.shards, placement.pins.len(), to_list(&placement.others)), (2, 0, "0-3".into()));
}

#[test]
fn many_processors_have_a_shard_each_as_far_as_there_may_be() {
    let tree = Tree::server(128);
    tree.set("/sys/class/net/eth0/device/numa_node", "-1");
    let placement = placed(&tree, None);
    assert_eq!((placement.pins.len(), to_list(&placement.others)), (127, "0,128".into()));
    let placement = placed(&Tree::server(512), Some(&(0..512).collect::<Vec<_>>()));
    assert_eq!(placement.shards, SHARDS_MAX);
}

#[test]
fn a_host_that_shows_nothing_has_one_processor() {
    let host = Tree::new().host();
    let topology = Topology::of(&host);
    assert_eq!((to_list(&topology.online), topology.cores.len(), cards(&host).len()), ("0".into(), 1, 0));
    assert_eq!(topology.placement(&profile(), &[], None).shards, 1);
}

#[test]
fn processors_are_counted_where_only_cpuinfo_is_there() {
    let tree = Tree::new();
    tree.set("/proc/cpuinfo", "processor : 0\n\nprocessor : 1\n\nprocessor : 2");
    assert_eq!(to_list(&Topology::of(&tree.host()).online), "0-2");
}

#[test]
fn garbage_is_left_out() {
    let tree = Tree::server(4);
    for garbage in ["", "x", "0-", "9-0", "-1", "0-99999999999"] {
        for path in ["cpu/cpu1/topology/thread_siblings_list", "cpu/isolated", "node/node0/cpulist", "cpu/online"] {
            tree.set(&format!("/sys/devices/system/{path}"), garbage);
        }
        tree.set("/sys/class/net/eth0/device/numa_node", garbage);
        assert!(placed(&tree, None).shards >= 1, "{garbage}");
    }
}

#[test]
fn cards_are_interfaces_with_a_device() {
    let host = Tree::server(4).host();
    let card = Card { name: "eth0".into(), node: Some(1), receive_queues: 1, send_queues: 1, interrupts: vec![30] };
    assert_eq!(cards(&host), [card]);
}
