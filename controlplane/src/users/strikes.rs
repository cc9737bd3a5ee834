//! Whether a program that is asked over HTTP is away, by answers that are none: one name about which it cannot say
//! anything is that name's misfortune, several in a row are the program's.

use gateway::UserId;

/// So many names in a row.
const NAMES_MAX: usize = 3;

/// Names of which something was heard, and nothing.
#[derive(Default)]
pub struct Strikes {
    /// Those without an answer since the last good one.
    unanswered: Vec<UserId>,
    /// Who had that, with the link key.
    answered: Option<(UserId, Vec<u8>)>,
}

impl Strikes {
    /// There was no answer about a name; whether nobody gets one.
    pub fn strike(&mut self, user: &UserId) -> bool {
        if !self.unanswered.contains(user) && self.unanswered.len() < NAMES_MAX {
            self.unanswered.push(*user);
        }
        self.unanswered.len() >= NAMES_MAX
    }

    /// There was a good one about this name.
    pub fn clear(&mut self, user: UserId, link_key: &[u8]) {
        self.unanswered.clear();
        self.answered = Some((user, link_key.to_vec()));
    }

    /// About whom to ask whether it is back: a name that had an answer before.
    pub fn answered(&self) -> Option<(UserId, Vec<u8>)> {
        self.answered.clone()
    }
}

#[cfg(test)]
mod tests;
