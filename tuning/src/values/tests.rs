use super::*;

#[test]
fn lists_are_read_and_written_as_the_kernel_does() {
    for text in ["", "0", "0-3", "0-3,8", "1,3,5-255", "0,65535"] {
        assert_eq!(to_list(&of_list(text).expect(text)), text);
    }
    assert_eq!(of_list(" 2,0-1\n"), Some([0, 1, 2].into()));
    for garbage in ["x", "1-", "-1", "3-1", "0-65536", "0-99999999999999999999", "1;2", "\u{fffd}"] {
        assert_eq!(of_list(garbage), None, "{garbage}");
    }
}

#[test]
fn masks_are_read_and_written_as_the_kernel_does() {
    for text in ["00000000", "0000000f", "80000001,00000000", "ffffffff,00000000,00000003"] {
        assert_eq!(to_mask(&of_mask(text).expect(text)), text);
    }
    assert_eq!(of_mask("3\n"), Some([0, 1].into()));
    for garbage in ["", "g", "1,,1", "fffffffff"] {
        assert_eq!(of_mask(garbage), None, "{garbage}");
    }
    assert_eq!(of_mask(&"0,".repeat(1 << 20)), None);
}

#[test]
fn two_ways_to_write_a_setting_are_one() {
    assert!(are_same("/proc/irq/1/smp_affinity_list", "0-1,3\n", "0,1,3"));
    assert!(are_same("/sys/class/net/a/queues/rx-0/rps_cpus", "00000000,00000003", "3"));
    assert!(are_same("/proc/sys/net/ipv4/tcp_rmem", "4096\t8\t9", "4096 8 9\n"));
    assert!(!are_same("/proc/sys/vm/swappiness", "60", "6"));
    assert!(!are_same("/proc/irq/1/smp_affinity_list", "0-1", "0"));
}
