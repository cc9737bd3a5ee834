//! What goes wrong, and when: all of it drawn from the seed of the run.

use crate::happening::{Fault, Happening};
use crate::world::{PERIOD, World};
use pki::Epoch;
use std::collections::BTreeSet;
use std::time::Duration;

/// The usual longest delay of a message to an authority.
const DELAY: Duration = Duration::from_millis(100);
/// The usual latency of a connection.
const LATENCY: Duration = Duration::from_micros(100);

/// Draws what goes wrong in the epochs from `first` on and before `end`, after which all is right again.
pub fn plan(world: &mut World, first: Epoch, end: Epoch) {
    for epoch in (first.0..end.0).map(Epoch) {
        for _ in 0..world.below(4) {
            let at = world.start_of(epoch) + PERIOD.mul_f64(world.below(1000) as f64 / 1000.0);
            // What has begun is over before the quiet at the end.
            let left = world.start_of(end).since(at);
            let lasts = PERIOD.mul_f64((1 + world.below(1000)) as f64 / 1000.0).min(left);
            let (begins, ends) = draw(world, lasts);
            world.plan(at, Happening::Fault(begins));
            if let Some(ends) = ends {
                world.plan(at + lasts, Happening::Fault(ends));
            }
        }
    }
}

/// Something that goes wrong, and what makes it right again.
fn draw(world: &mut World, lasts: Duration) -> (Fault, Option<Fault>) {
    let (authorities, nodes, members) = (world.authorities.len(), world.nodes.len(), world.members());
    let mut some = |count: usize| world.below(count as u64) as usize;
    match some(13) {
        0 => (Fault::Loss([26, 77, 154][some(3)]), Some(Fault::Loss(0))),
        1 => (Fault::Delay(Duration::from_millis([300, 1000, 3000][some(3)])), Some(Fault::Delay(DELAY))),
        2 => {
            let island = (0..1 + some(members / 2)).map(|_| some(members)).collect();
            let silent = (some(2) == 0).then_some(lasts);
            (Fault::Island(island, silent), Some(Fault::Island(BTreeSet::new(), None)))
        }
        3 => {
            let who = some(authorities);
            (Fault::KillAuthority(who, some(4) == 0), Some(Fault::StartAuthority(who)))
        }
        4 => {
            let node = some(nodes);
            (Fault::KillPlane(node), Some(Fault::StartPlane(node)))
        }
        5 => {
            let node = some(nodes);
            (Fault::KillControl(node), Some(Fault::StartControl(node)))
        }
        6 => {
            let (member, ms) = (some(members), some(2 * PERIOD.as_millis() as usize) as i64);
            (Fault::Clock(member, if some(2) == 0 { ms } else { -ms }), Some(Fault::Clock(member, 0)))
        }
        7 => (Fault::WrongBytes(authorities + some(members - authorities), 1 + some(4) as u32), None),
        9 => (Fault::WrongMessages([13, 64][some(2)]), Some(Fault::WrongMessages(0))),
        10 => {
            let node = some(nodes);
            (Fault::KillNode(node), Some(Fault::StartNode(node)))
        }
        11 => {
            let node = some(nodes);
            (Fault::Twin(node), Some(Fault::StartPlane(node)))
        }
        8 => (Fault::Cut(some(nodes)), None),
        _ => {
            let mut some_member = || authorities + some(members - authorities);
            (Fault::Stall(some_member(), some_member(), lasts), None)
        }
    }
}

impl World {
    /// Lets something go wrong, or be right again. What is down cannot die, what is up cannot come back.
    pub fn apply(&mut self, fault: Fault) {
        self.tell(format!("{fault:?}"));
        match fault {
            Fault::Loss(of_256) => self.lost_of_256 = of_256,
            Fault::WrongMessages(of_256) => self.wrong_of_256 = of_256,
            Fault::Delay(delay_max) => {
                self.delay_max = delay_max;
                self.set_latency(if delay_max > DELAY { delay_max / 10 } else { LATENCY });
            }
            Fault::Island(island, lasts) => {
                let until = lasts.map(|lasts| self.now() + lasts);
                self.set_island(island, until);
            }
            Fault::KillAuthority(who, with_store) => self.authorities[who].kill(with_store),
            Fault::StartAuthority(who) if self.authorities[who].voting.is_none() => self.start_authority(who),
            Fault::KillPlane(node) if self.nodes[node].plane.is_some() => {
                let lost = self.kill_plane(node);
                self.tell(format!("{lost} packets are lost with it"));
            }
            Fault::Twin(node) if self.nodes[node].plane.is_some() => {
                self.kill_plane(node);
                let is_there = self.seat_twin(node);
                self.tell(format!("a twin {} its place", if is_there { "takes" } else { "cannot take" }));
            }
            Fault::KillNode(node) => {
                self.nodes[node].kill_control();
                self.kill_plane(node);
                self.nodes[node].forget();
            }
            Fault::StartNode(node) => {
                self.apply(Fault::StartControl(node));
                self.apply(Fault::StartPlane(node));
            }
            Fault::StartPlane(node) if self.nodes[node].plane.is_none() => {
                self.start_plane(node);
            }
            Fault::KillControl(node) => self.nodes[node].kill_control(),
            Fault::StartControl(node) if self.nodes[node].worker.is_none() => {
                let authorities = self.authorities.len();
                self.nodes[node].start_control(authorities);
            }
            Fault::Clock(member, ahead_ms) => {
                self.set_clock(member, ahead_ms);
                // A process is woken by its clock's change; a sleeping shard looks at it again.
                for host in self.hosts_of(member).to_vec() {
                    self.simulation.host_mut(host);
                }
            }
            Fault::WrongBytes(member, pieces) => self.air(member).borrow_mut().wrong_pieces = pieces,
            Fault::Cut(node) => {
                let count = self.cut_from_all(node);
                self.tell(format!("{count} connections are lost"));
            }
            Fault::Stall(one, other, lasts) => {
                let until = self.now() + lasts;
                let count = self.stall(one, other, until);
                self.tell(format!("{count} connections stand still"));
            }
            Fault::StartAuthority(_)
            | Fault::KillPlane(_)
            | Fault::Twin(_)
            | Fault::StartPlane(_)
            | Fault::StartControl(_) => {}
        }
    }
}
