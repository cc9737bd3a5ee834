//! What every entry point does.
#![forbid(unsafe_code)]

/// Feeds one input to the target of that name.
pub fn feed(name: &str, data: &[u8]) {
    let target = fuzz::find(name).expect("entry points are named after targets");
    let _ = (target.run)(data);
}
