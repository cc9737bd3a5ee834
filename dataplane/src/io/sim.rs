//! A simulated network and clock.
