//! Where an item ends that comes in parts. What was looked at is not looked at again, however many parts there are.

use super::PluginError;

/// Items in items that are followed; a message has one level of them.
const DEPTH_MAX: usize = 32;

/// Ends an item of indefinite length.
const BREAK: u8 = 0xff;

/// How far an item is known. Only its shape is looked at: which item may stand where is the decoder's business.
#[derive(Debug, Default)]
pub struct Scan {
    /// Bytes of the item that need no second look: more than there are, while a string is still to come.
    at: usize,
    /// What is open, from the outside in.
    open: Vec<Open>,
    /// Heads that were looked at.
    #[cfg(test)]
    pub heads: usize,
}

#[derive(Clone, Copy, Debug)]
enum Open {
    /// So many items are left.
    Items(u64),
    UntilBreak,
}

impl Scan {
    /// Goes on with what is there of the item, from its beginning; gives its length once it is whole.
    pub fn find_end(&mut self, item: &[u8]) -> Result<Option<usize>, PluginError> {
        loop {
            while matches!(self.open.last(), Some(Open::Items(0))) {
                self.open.pop();
            }
            let is_whole = self.at > 0 && self.open.is_empty();
            if is_whole {
                return Ok(Some(self.at).filter(|end| *end <= item.len()));
            }
            let Some(rest @ [first, ..]) = item.get(self.at..) else { return Ok(None) };
            #[cfg(test)]
            {
                self.heads += 1;
            }
            if *first == BREAK {
                let Some(Open::UntilBreak) = self.open.pop() else {
                    return Err(PluginError::Malformed("a break has nothing to end"));
                };
                self.at += 1;
            } else {
                let Some((argument, bytes)) = argument(*first, rest)? else { return Ok(None) };
                if let Some(Open::Items(left)) = self.open.last_mut() {
                    *left -= 1;
                }
                self.at += bytes;
                self.enter(*first >> 5, argument)?;
            }
        }
    }

    /// Passes a string, and opens what has items in it. Without an argument it goes on until a break.
    fn enter(&mut self, major: u8, argument: Option<u64>) -> Result<(), PluginError> {
        let inner = match (major, argument) {
            (2 | 3, Some(bytes)) => {
                self.at = self.at.saturating_add(usize::try_from(bytes).unwrap_or(usize::MAX));
                return Ok(());
            }
            (2..=5, None) => Open::UntilBreak,
            (4, Some(items)) => Open::Items(items),
            (5, Some(pairs)) => Open::Items(pairs.saturating_mul(2)),
            (6, Some(_)) => Open::Items(1),
            (_, Some(_)) => return Ok(()),
            (_, None) => return Err(PluginError::Malformed("this is no CBOR")),
        };
        if self.open.len() == DEPTH_MAX {
            return Err(PluginError::Malformed("its items are nested too deeply"));
        }
        self.open.push(inner);
        Ok(())
    }
}

/// The argument of a head, if it has one, and the head's bytes; none if not all of them are there.
fn argument(first: u8, rest: &[u8]) -> Result<Option<(Option<u64>, usize)>, PluginError> {
    let length = match first & 0x1f {
        small @ 0..=23 => return Ok(Some((Some(u64::from(small)), 1))),
        24..=27 => 1 << ((first & 0x1f) - 24),
        31 => return Ok(Some((None, 1))),
        _ => return Err(PluginError::Malformed("this is no CBOR")),
    };
    let value = |bytes: &[u8]| bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
    Ok(rest.get(1..1 + length).map(|bytes| (Some(value(bytes)), 1 + length)))
}
