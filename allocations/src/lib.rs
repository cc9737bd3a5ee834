//! The system's allocator, which counts: for tests that promise something about memory.
//!
//! ```
//! #[global_allocator]
//! static ALLOCATOR: allocations::Counting = allocations::Counting;
//!
//! assert_eq!(allocations::of(|| drop(std::hint::black_box(vec![1_u8]))), 1);
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | `counting` | the allocator itself; the only `unsafe` |
//!
//! Each thread is at a place, a number that its test gives a meaning; a thread that was told nothing is at place 0.
#![deny(unsafe_code)]

mod counting;

pub use counting::Counting;

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// Places that are told apart.
pub const PLACES: usize = 4;

#[cfg(test)]
#[global_allocator]
static ALLOCATOR: Counting = Counting;

static EVERYWHERE: [AtomicU64; PLACES] = [const { AtomicU64::new(0) }; PLACES];

thread_local! {
    static PLACE: Cell<usize> = const { Cell::new(0) };
    static HERE: [Cell<u64>; PLACES] = const { [const { Cell::new(0) }; PLACES] };
    static HELD_BYTES: Cell<isize> = const { Cell::new(0) };
    static MOST_BYTES: Cell<isize> = const { Cell::new(0) };
}

/// The calling thread is at that place from now on. Returns where it was.
pub fn enter(place: usize) -> usize {
    PLACE.replace(place % PLACES)
}

/// Does `work` at that place.
pub fn at<T>(place: usize, work: impl FnOnce() -> T) -> T {
    let before = enter(place);
    let result = work();
    enter(before);
    result
}

/// Allocations at that place so far, of all threads.
pub fn everywhere(place: usize) -> u64 {
    EVERYWHERE[place % PLACES].load(Ordering::Relaxed)
}

/// Allocations of the calling thread at that place so far.
pub fn here(place: usize) -> u64 {
    HERE.with(|here| here[place % PLACES].get())
}

/// What `work` allocates in the calling thread, wherever it is.
pub fn of(work: impl FnOnce()) -> u64 {
    let all = || HERE.with(|here| here.iter().map(Cell::get).sum::<u64>());
    let before = all();
    work();
    all() - before
}

/// What `work` gives, and the most bytes that it holds in the calling thread beside those held before.
pub fn most_bytes_of<T>(work: impl FnOnce() -> T) -> (T, isize) {
    let before = HELD_BYTES.get();
    MOST_BYTES.set(before);
    let result = work();
    (result, MOST_BYTES.get() - before)
}

/// A thread that ends has no counts any more, and nobody reads them.
fn count_allocation() {
    let place = PLACE.try_with(Cell::get).unwrap_or(0);
    EVERYWHERE[place].fetch_add(1, Ordering::Relaxed);
    let _gone = HERE.try_with(|here| here[place].set(here[place].get() + 1));
}

fn count_bytes(change: isize) {
    let _gone = HELD_BYTES.try_with(|held| {
        held.set(held.get() + change);
        let _gone = MOST_BYTES.try_with(|most| most.set(most.get().max(held.get())));
    });
}

#[cfg(test)]
mod tests;
