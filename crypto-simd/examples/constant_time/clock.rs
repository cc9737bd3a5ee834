//! The processor's time stamp counter, or the system's clock where there is none.

/// Ticks that `run` takes.
#[cfg(target_arch = "x86_64")]
pub fn ticks(run: impl FnOnce()) -> u64 {
    use std::arch::x86_64::{__rdtscp, _mm_lfence, _rdtsc};
    // SAFETY: every x86-64 processor has SSE2 and the counter, and those in use for twenty years RDTSCP. The fences
    // keep the measured instructions between the two readings.
    let begin = unsafe {
        _mm_lfence();
        let begin = _rdtsc();
        _mm_lfence();
        begin
    };
    run();
    let mut processor = 0;
    // SAFETY: as above.
    let end = unsafe {
        let end = __rdtscp(&mut processor);
        _mm_lfence();
        end
    };
    end.saturating_sub(begin)
}

/// Nanoseconds that `run` takes.
#[cfg(not(target_arch = "x86_64"))]
pub fn ticks(run: impl FnOnce()) -> u64 {
    let begin = std::time::Instant::now();
    run();
    begin.elapsed().as_nanos() as u64
}
