//! Says what is not tested without DPDK.
#![cfg(not(feature = "dpdk"))]

#[test]
fn cards_are_tested_with_the_feature() {
    testhost::report(format_args!(
        "NOT TESTED without the feature dpdk: frames through DPDK's cards; cargo test -p dpdk-link --features dpdk, where \
         pkg-config knows libdpdk"
    ));
}
