//! Many clients of a gateway that do nothing: what each of them costs.

use super::peers;
use super::plan::Plan;
use super::process::Program;
use super::traffic::Traffic;
use super::world::{World, make_clients};
use super::{Failure, IdleClients, Options, say, until};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use testnet::neighbours;
use testnet::session::Identity;
use wire::Command;

/// Sessions that are made at a time.
const DIALLERS: usize = 4;
/// How long all of them may take.
const DIALS_LIMIT: Duration = Duration::from_secs(600);
/// Sessions before the first look at the memory: what all of them share is there then.
const FIRST: usize = 16;
/// After the last session, until the node has done what it does for a new one.
const SETTLE: Duration = Duration::from_secs(2);

/// Measures them at a node of their own.
pub fn measure(plan: &Plan, options: &Options) -> Result<IdleClients, Failure> {
    let mut world = World::start(plan, options, &Program::own(options), Traffic::FromClients, plan.period())?;
    let outcome = connect_and_wait(&mut world, options);
    let found = outcome.map_err(|failure| world.node.with_last_lines(failure))?;
    world.node.stop()?;
    Ok(found)
}

fn connect_and_wait(world: &mut World, options: &Options) -> Result<IdleClients, Failure> {
    say(format_args!("waiting for the next epoch"));
    std::thread::sleep(until(world.network.clock.start(world.epoch)));
    let listeners = world.take_listeners();
    let _behind = peers::accept(&world.network, listeners, &world.credentials());
    let count = options.idle_clients;
    say(format_args!("making {count} sessions of clients"));
    let clients = make_clients(&world.network, count)?;
    let (first, others) = clients.split_at(FIRST.min(count));
    let mut sessions = connect(world, first)?;
    std::thread::sleep(SETTLE);
    let memory_bytes_before = world.node.memory()?.data_plane_bytes;
    let started = Instant::now();
    sessions.extend(connect(world, others)?);
    let handshakes_per_second = others.len() as f64 / started.elapsed().as_secs_f64();
    std::thread::sleep(SETTLE);
    say(format_args!("measuring the node while they do nothing"));
    let started = Instant::now();
    let node_cpu_share = world.node.data_plane_share(Duration::from_secs(options.idle_seconds))?;
    let seconds = started.elapsed().as_secs_f64();
    let memory_bytes = world.node.memory()?.data_plane_bytes;
    world.node.check()?;
    let grown = memory_bytes.saturating_sub(memory_bytes_before) as f64;
    Ok(IdleClients {
        sessions: sessions.len(),
        sessions_lost: lost(&sessions)?,
        handshakes_per_second,
        memory_bytes_before,
        memory_bytes,
        memory_bytes_per_session: grown / others.len().max(1) as f64,
        seconds,
        node_cpu_share,
    })
}

/// Their connections: what the node tells them is left there.
fn connect(world: &World, clients: &[Identity]) -> Result<Vec<TcpStream>, String> {
    let (node, address, deadline) = (world.credentials(), world.entrance(), Instant::now() + DIALS_LIMIT);
    let dial = |own: &Identity| neighbours::dial_as_client(&world.network, own, &node, address, deadline);
    let connect_one = |own: &Identity| {
        let mut session = dial(own)?;
        // A client says something at once, and only by that shows who it is.
        session.send(&Command::NoOp)?;
        Ok(session.into_parts()?.0)
    };
    let part = |clients: &[Identity]| clients.iter().map(connect_one).collect::<Result<Vec<_>, String>>();
    let share = clients.len().div_ceil(DIALLERS).max(1);
    std::thread::scope(|scope| {
        let threads: Vec<_> = clients.chunks(share).map(|clients| scope.spawn(move || part(clients))).collect();
        let mut sessions = Vec::with_capacity(clients.len());
        for thread in threads {
            sessions.extend(thread.join().map_err(|_| "a caller ended badly")??);
        }
        Ok(sessions)
    })
}

/// How many of them the node has ended.
fn lost(sessions: &[TcpStream]) -> Result<usize, String> {
    let mut polled: Vec<PollFd<'_>> = sessions.iter().map(|stream| PollFd::new(stream, PollFlags::RDHUP)).collect();
    poll(&mut polled, Some(&Timespec::default())).map_err(|error| error.to_string())?;
    let ended = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
    Ok(polled.iter().filter(|polled| polled.revents().intersects(ended)).count())
}
