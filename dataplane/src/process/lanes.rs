//! Ways past the kernel for the shards' datagrams. Where one is refused the kernel's sockets carry them, and it is told why.

use crate::io::choice::Choice;
use interplane::event::{Detail, Event};
use interplane::setup::{Datagrams, Machine};
use xdp::{Attachment, Frames, Lane, Mode, Refusal};

/// Whether the interface looks as if it had a lane for each shard.
pub fn check(interface: &str, shards: usize) -> Result<(), Refusal> {
    xdp::check(interface, u32::try_from(shards).unwrap_or(u32::MAX), Frames::default())
}

/// One for each shard that has a queue of its own, from the first on, and what there is to tell.
pub fn open(machine: &Machine, backend: &Choice) -> (Vec<Option<Lane>>, Vec<Event>) {
    let Datagrams::Xdp { interface } = &machine.datagrams else { return (Vec::new(), Vec::new()) };
    let refused = |why: &dyn std::fmt::Display| Event::DatagramsRefused { detail: Detail::new(why) };
    if !backend.can_bypass() {
        let why = format!("AF_XDP works with the backends uring and epoll, not with {}", backend.name());
        return (Vec::new(), vec![refused(&why)]);
    }
    let attachment = match Attachment::new(interface, &Mode::ALL) {
        Ok(attachment) => attachment,
        Err(refusal) => return (Vec::new(), vec![refused(&refusal)]),
    };
    let (mut lanes, mut events) = (Vec::new(), Vec::new());
    for shard in 0..u32::from(machine.shards) {
        match Lane::open(&attachment, shard, Frames::default()) {
            Ok(lane) => lanes.push(Some(lane)),
            Err(refusal) => {
                // The others would be refused for the same reason.
                events.push(refused(&format_args!("from shard {shard} on: {refusal}")));
                break;
            }
        }
    }
    if let Some(lane) = lanes.iter().flatten().next() {
        let mode = match (attachment.mode(), lane.is_zero_copy()) {
            (Mode::Native, true) => "in the driver, without copies",
            (Mode::Native, false) => "in the driver, with copies",
            (Mode::Generic, _) => "behind the driver, with copies",
        };
        let detail = format_args!("AF_XDP at {interface}, {mode}, for {} of {} shards", lanes.len(), machine.shards);
        events.push(Event::DatagramsChosen { detail: Detail::new(detail) });
    }
    (lanes, events)
}
