//! How many queues an interface has, as `ethtool -l` asks it. `/sys` would tell of the namespace in which it was mounted.
#![allow(unsafe_code, reason = "no safe wrapper of this request is among our packages")]

use rustix::io::Errno;
use rustix::ioctl::{Opcode, Updater, ioctl};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

const ETHTOOL: Opcode = libc::SIOCETHTOOL as Opcode;
const GET_CHANNELS: u32 = 0x3c;

/// What is asked, and what comes back.
#[derive(Default)]
#[repr(C)]
struct Channels {
    command: u32,
    receive_max: u32,
    send_max: u32,
    other_max: u32,
    combined_max: u32,
    receive: u32,
    send: u32,
    other: u32,
    combined: u32,
}

/// The kernel's `struct ifreq`: as long as its largest variant.
#[repr(C)]
struct Request {
    name: [u8; libc::IFNAMSIZ],
    channels: *mut Channels,
    rest: [u64; 2],
}

/// The queues at which frames arrive; an error where the driver does not tell.
pub fn receiving(name: &str) -> Result<u32, Errno> {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    let mut channels = Channels { command: GET_CHANNELS, ..Channels::default() };
    let mut request = Request { name: [0; libc::IFNAMSIZ], channels: &raw mut channels, rest: [0; 2] };
    // The last byte stays zero.
    let place = request.name.get_mut(..name.len()).filter(|place| place.len() < libc::IFNAMSIZ);
    place.ok_or(Errno::NODEV)?.copy_from_slice(name.as_bytes());
    // SAFETY: the request is a `struct ifreq`, and what it points to is of the length that this command has and outlives the call.
    unsafe { ioctl(socket, Updater::<ETHTOOL, Request>::new(&mut request)) }?;
    Ok(channels.combined.saturating_add(channels.receive))
}
