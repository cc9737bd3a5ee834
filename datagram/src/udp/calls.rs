//! System calls that safe packages do not have.
#![allow(unsafe_code, reason = "functions of the system are unsafe")]

use super::control::{CONTROL_BYTES, Control, NAME_BYTES};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// `SO_MEMINFO`, which the package does not have, and how many numbers it gives.
const MEMORY: libc::c_int = 55;
const MEMORY_NUMBERS: usize = 9;

/// Sets an option that is a number.
pub fn set(socket: BorrowedFd<'_>, level: i32, name: i32, value: i32) -> io::Result<()> {
    let length = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the option's value is a number of the length that is said.
    let outcome =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, std::ptr::from_ref(&value).cast(), length) };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether the kernel has an option.
pub fn is_known(socket: BorrowedFd<'_>, level: i32, name: i32) -> bool {
    get(socket, level, name, &mut [0; 1])
}

/// How many datagrams found no room in the socket since it was made.
pub fn drops(socket: impl AsFd) -> u64 {
    let mut numbers = [0u32; MEMORY_NUMBERS];
    let is_told = get(socket.as_fd(), libc::SOL_SOCKET, MEMORY, &mut numbers);
    if is_told { numbers[libc::SK_MEMINFO_DROPS as usize].into() } else { 0 }
}

fn get(socket: BorrowedFd<'_>, level: i32, name: i32, numbers: &mut [u32]) -> bool {
    let mut length = size_of_val(numbers) as libc::socklen_t;
    let place = numbers.as_mut_ptr().cast();
    // SAFETY: the place has room for the length that is said, and any bytes are numbers.
    unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, place, &mut length) == 0 }
}

/// How much the kernel has put where.
#[derive(Clone, Copy, Debug)]
pub struct Put {
    /// Bytes of the sender's address.
    pub name: usize,
    /// Bytes of control messages.
    pub control: usize,
    /// Bytes of datagrams.
    pub bytes: usize,
}

/// Takes the next train out of the socket, without waiting. One that does not fit is cut off.
pub fn receive(
    socket: BorrowedFd<'_>,
    name: &mut [u8; NAME_BYTES],
    control: &mut Control,
    bytes: &mut [u8],
) -> io::Result<Put> {
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: numbers and null pointers.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = name.as_mut_ptr().cast();
    message.msg_namelen = NAME_BYTES as libc::socklen_t;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = CONTROL_BYTES;
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    // SAFETY: all that the message points to stays until the call returns, and is as long as it says.
    let count = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT) };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    Ok(Put { name: message.msg_namelen as usize, control: message.msg_controllen, bytes: count })
}

/// Hands a train to the socket, without waiting.
pub fn send(socket: BorrowedFd<'_>, name: &[u8], control: &[u8], bytes: &[u8]) -> io::Result<()> {
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: numbers and null pointers.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = name.as_ptr().cast_mut().cast();
    message.msg_namelen = name.len() as libc::socklen_t;
    if !control.is_empty() {
        message.msg_control = control.as_ptr().cast_mut().cast();
        message.msg_controllen = control.len();
    }
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: all that the message points to stays until the call returns, is as long as it says, and is only read.
    let count = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, flags) };
    if count >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
