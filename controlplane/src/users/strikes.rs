//! Whether a program that is asked over HTTP is away, by answers that are none: one name about which it cannot say
//! anything is that name's misfortune, several in a row are the program's.

use gateway::UserId;

/// So many names in a row.
const NAMES_MAX: usize = 3;

/// The names of which nothing was heard since the last good answer.
#[derive(Default)]
pub struct Strikes(Vec<UserId>);

impl Strikes {
    /// There was no answer about a name; whether nobody gets one.
    pub fn strike(&mut self, user: &UserId) -> bool {
        if !self.0.contains(user) && self.0.len() < NAMES_MAX {
            self.0.push(*user);
        }
        self.0.len() >= NAMES_MAX
    }

    /// There was a good one.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests;
