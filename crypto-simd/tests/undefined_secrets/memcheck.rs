//! Valgrind's client requests: outside of valgrind the instructions rotate a register back to where it was.

/// From valgrind's `memcheck.h`: the tool's letters, then the number of the request.
const MAKE_MEM_UNDEFINED: usize = ((b'M' as usize) << 24 | (b'C' as usize) << 16) + 1;
const MAKE_MEM_DEFINED: usize = MAKE_MEM_UNDEFINED + 1;
/// From `valgrind.h`.
const RUNNING_ON_VALGRIND: usize = 0x1001;

fn request(code: usize, address: usize, length: usize) -> usize {
    let arguments = [code, address, length, 0, 0, 0];
    let mut answer = 0;
    // SAFETY: the rotations add up to 128 bits and the exchange is one of a register with itself. Valgrind, which knows
    // the sequence, reads the six arguments, writes the answer, and changes no memory that the program can see.
    unsafe {
        std::arch::asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") arguments.as_ptr(),
            inout("rdx") answer,
            out("rdi") _,
        );
    }
    answer
}

/// Whether valgrind runs this process.
pub fn is_running() -> bool {
    request(RUNNING_ON_VALGRIND, 0, 0) != 0
}

/// Takes the bytes for uninitialised from here on, and all that is computed from them.
pub fn conceal(bytes: &mut [u8]) {
    request(MAKE_MEM_UNDEFINED, bytes.as_mut_ptr() as usize, bytes.len());
}

/// The value is public from here on.
pub fn reveal<T: ?Sized>(value: &T) {
    request(MAKE_MEM_DEFINED, std::ptr::from_ref(value).cast::<u8>() as usize, size_of_val(value));
}
