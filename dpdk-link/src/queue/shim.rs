//! The calls of `shim/shim.c`, and what their pointers mean.

#![allow(unsafe_code, reason = "the crate's only room for it")]

use datagram::frame::Mac;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io;
use std::ptr;

/// Frames of one burst.
const BURST: usize = 32;

#[repr(C)]
struct KzPort {
    pool: *mut c_void,
    mac: Mac,
    mtu: u16,
    queues: u16,
    is_hashing: u16,
}

unsafe extern "C" {
    fn kz_start(argc: c_int, argv: *mut *mut c_char) -> c_int;
    fn kz_join() -> c_int;
    fn kz_find(name: *const c_char, id: *mut u16) -> c_int;
    fn kz_open(id: u16, queues: u16, descriptors: u16, buffers: u32, port: *mut KzPort) -> c_int;
    fn kz_receive(
        id: u16,
        queue: u16,
        buffers: *mut *mut c_void,
        bytes: *mut *mut u8,
        lengths: *mut u32,
        verified: *mut u8,
        count: u16,
    ) -> u16;
    fn kz_reserve(pool: *mut c_void, buffers: *mut *mut c_void, bytes: *mut *mut u8, room: *mut u32, count: u16)
    -> u16;
    fn kz_transmit(id: u16, queue: u16, buffers: *mut *mut c_void, lengths: *const u32, count: u16) -> u16;
    fn kz_release(buffers: *mut *mut c_void, count: u16);
    fn kz_missed(id: u16) -> u64;
    fn kz_close(id: u16) -> c_int;
}

/// Where buffers come from. It lives as long as the process: DPDK frees no pool that buffers may still be out of.
#[derive(Clone, Copy, Debug)]
pub struct Pool(*mut c_void);

// SAFETY: pools of DPDK may be used by several threads.
unsafe impl Send for Pool {}
// SAFETY: as above.
unsafe impl Sync for Pool {}

/// What a port is.
#[derive(Debug)]
pub struct Found {
    /// For frames that leave; the card takes buffers out of it for those that arrive.
    pub pool: Pool,
    /// The card's address.
    pub mac: Mac,
    /// The largest packet of IP.
    pub mtu: u16,
    /// Whether it deals out by a hash.
    pub is_hashing: bool,
}

/// A buffer that is ours, and goes back to its pool when it is dropped.
pub struct Buffer {
    buffer: *mut c_void,
    bytes: *mut u8,
    room: usize,
}

// SAFETY: nobody else has the buffer, and any thread may give it back.
unsafe impl Send for Buffer {}

impl Buffer {
    /// So many of its bytes; none if it has not so many.
    pub fn bytes(&mut self, count: usize) -> Option<&mut [u8]> {
        // SAFETY: `bytes` points to `room` bytes of the buffer, which is ours alone and lives as long as `self`.
        (count <= self.room).then(|| unsafe { std::slice::from_raw_parts_mut(self.bytes, count) })
    }

    /// Somebody else has it now.
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: the buffer is ours, and not used any more.
        unsafe { kz_release(&raw mut self.buffer, 1) };
    }
}

/// What has arrived together.
pub struct Burst {
    buffers: [*mut c_void; BURST],
    bytes: [*mut u8; BURST],
    lengths: [u32; BURST],
    verified: [u8; BURST],
    count: usize,
}

// SAFETY: nobody else has the buffers, and any thread may give them back.
unsafe impl Send for Burst {}

impl Default for Burst {
    fn default() -> Self {
        Self {
            buffers: [ptr::null_mut(); BURST],
            bytes: [ptr::null_mut(); BURST],
            lengths: [0; BURST],
            verified: [0; BURST],
            count: 0,
        }
    }
}

impl Burst {
    /// Frames.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Gives back what is here, and takes what has come.
    pub fn receive(&mut self, id: u16, queue: u16) {
        self.release();
        // SAFETY: all four arrays have room for BURST entries; the port has been opened, the queue is its caller's alone.
        let count = unsafe {
            kz_receive(
                id,
                queue,
                self.buffers.as_mut_ptr(),
                self.bytes.as_mut_ptr(),
                self.lengths.as_mut_ptr(),
                self.verified.as_mut_ptr(),
                BURST as u16,
            )
        };
        self.count = usize::from(count).min(BURST);
    }

    /// One of the frames, and whether the card has verified its checksums. Empty if it lies in several buffers.
    pub fn frame(&mut self, at: usize) -> Option<(&mut [u8], bool)> {
        if at >= self.count {
            return None;
        }
        // SAFETY: the call has set the pointer to so many bytes of a buffer that is ours until the next burst, which takes
        // `self` mutably.
        let bytes = unsafe { std::slice::from_raw_parts_mut(self.bytes[at], self.lengths[at] as usize) };
        Some((bytes, self.verified[at] != 0))
    }

    fn release(&mut self) {
        if self.count > 0 {
            // SAFETY: the first `count` buffers are ours, and nobody reads them any more.
            unsafe { kz_release(self.buffers.as_mut_ptr(), self.count as u16) };
            self.count = 0;
        }
    }
}

impl Drop for Burst {
    fn drop(&mut self) {
        self.release();
    }
}

fn outcome(code: c_int) -> Result<(), io::Error> {
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code.saturating_neg())) }
}

/// Starts DPDK in this process.
pub fn start(arguments: Vec<CString>) -> Result<(), io::Error> {
    let count = arguments.len() as c_int;
    // DPDK keeps pointers to its arguments, and changes their order.
    let mut pointers: Vec<*mut c_char> = arguments.into_iter().map(CString::into_raw).collect();
    pointers.push(ptr::null_mut());
    let pointers = pointers.leak();
    // SAFETY: so many strings that end with zero, and a null behind them; they live as long as the process.
    outcome(unsafe { kz_start(count, pointers.as_mut_ptr()) })
}

/// Gives this thread a number.
pub fn join() -> Result<(), io::Error> {
    // SAFETY: nothing is passed.
    outcome(unsafe { kz_join() })
}

/// The number of a port.
pub fn find(name: &CStr) -> Option<u16> {
    let mut id = 0;
    // SAFETY: a string that ends with zero, and a place for the number.
    let code = unsafe { kz_find(name.as_ptr(), &raw mut id) };
    (code == 0).then_some(id)
}

/// Configures and starts a port.
pub fn open(id: u16, queues: u16, descriptors: u16, buffers: u32) -> Result<Found, io::Error> {
    let mut port = KzPort { pool: ptr::null_mut(), mac: [0; 6], mtu: 0, queues: 0, is_hashing: 0 };
    // SAFETY: a place for what is found, laid out as the shim has it.
    outcome(unsafe { kz_open(id, queues, descriptors, buffers, &raw mut port) })?;
    Ok(Found { pool: Pool(port.pool), mac: port.mac, mtu: port.mtu, is_hashing: port.is_hashing != 0 })
}

/// Takes so many empty buffers, at most a burst; none if there are too few.
pub fn reserve(pool: Pool, count: usize, into: &mut Vec<Buffer>) {
    let count = count.min(BURST);
    let (mut buffers, mut bytes, mut room) = ([ptr::null_mut(); BURST], [ptr::null_mut(); BURST], 0);
    // SAFETY: both arrays have room for BURST entries; the pool is one of a port that has been opened.
    let got = unsafe { kz_reserve(pool.0, buffers.as_mut_ptr(), bytes.as_mut_ptr(), &raw mut room, count as u16) };
    let all = buffers.into_iter().zip(bytes).take(usize::from(got));
    into.extend(all.map(|(buffer, bytes)| Buffer { buffer, bytes, room: room as usize }));
}

/// Hands over buffers; gives how many the card has taken from the first on. These are not ours any more.
pub fn transmit(id: u16, queue: u16, buffers: &[Buffer], lengths: &[u32]) -> usize {
    let count = buffers.len().min(lengths.len()).min(BURST);
    let mut pointers = [ptr::null_mut(); BURST];
    for (pointer, buffer) in pointers.iter_mut().zip(&buffers[..count]) {
        *pointer = buffer.buffer;
    }
    // SAFETY: so many buffers of ours with so many bytes in each; the port has been opened, the queue is its caller's alone.
    usize::from(unsafe { kz_transmit(id, queue, pointers.as_mut_ptr(), lengths.as_ptr(), count as u16) })
}

/// Frames that the card had no room for.
pub fn missed(id: u16) -> u64 {
    // SAFETY: a number; DPDK checks it.
    unsafe { kz_missed(id) }
}

/// Stops a port.
pub fn close(id: u16) {
    // SAFETY: nobody has a queue of it any more.
    let _stopped = unsafe { kz_close(id) };
}
