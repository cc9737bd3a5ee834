//! Messages of any lengths, cut into runs of whole blocks that all lanes absorb together.

/// A message in two parts of whole blocks: the part that is hashed where it lies, and the padded end.
pub(crate) type Parts<'a> = [&'a [u8]; 2];

/// The runs of a group of messages, one message per lane.
pub(crate) struct Runs<'a, const LANES: usize> {
    rest: [Parts<'a>; LANES],
}

/// Equally many blocks for every lane.
pub(crate) struct Run<'a, const LANES: usize> {
    /// What each lane absorbs. A lane whose message has ended gets blocks of another one.
    pub(crate) inputs: [&'a [u8]; LANES],
    /// The lanes whose messages end with this run.
    pub(crate) ended: [bool; LANES],
}

impl<'a, const LANES: usize> Runs<'a, LANES> {
    /// An unused lane has no blocks. Every message that has some has at least one in its end.
    #[inline(always)]
    pub(crate) fn new(messages: [Parts<'a>; LANES]) -> Self {
        Self { rest: messages }
    }
}

impl<'a, const LANES: usize> Iterator for Runs<'a, LANES> {
    type Item = Run<'a, LANES>;

    #[inline(always)]
    fn next(&mut self) -> Option<Run<'a, LANES>> {
        let mut shortest: &[u8] = &[];
        for [body, end] in &self.rest {
            let part = if body.is_empty() { end } else { body };
            if !part.is_empty() && (shortest.is_empty() || part.len() < shortest.len()) {
                shortest = part;
            }
        }
        if shortest.is_empty() {
            return None;
        }
        let mut run = Run { inputs: [shortest; LANES], ended: [false; LANES] };
        for (lane, [body, end]) in self.rest.iter_mut().enumerate() {
            let part = if body.is_empty() { &mut *end } else { &mut *body };
            if !part.is_empty() {
                (run.inputs[lane], *part) = part.split_at(shortest.len());
                run.ended[lane] = body.is_empty() && end.is_empty();
            }
        }
        Some(run)
    }
}
