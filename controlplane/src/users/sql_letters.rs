//! The letters of registered clients in PostgreSQL, beside the users.

use super::error::StoreError;
use super::letters::{Batch, FETCHED_MAX, Kept, Letter, MAILBOX_LETTERS_MAX, SWEPT_MAX, Swept, Written};
use super::sql::{Sql, failed};
use gateway::{UserId, archive};
use std::sync::atomic::Ordering;
use tokio_postgres::Row;

impl Sql {
    /// Writes what is to be kept, then removes what is gone.
    pub async fn write_letters(&self, batch: &Batch) -> Result<Written, StoreError> {
        let (session, mail) = self.for_mail()?;
        let statements = session.mail.as_ref().ok_or_else(|| StoreError::Sql("mail is not kept".into()))?;
        let mut written = Written::default();
        // Who was forgotten has taken all letters along. What is there is known within what others write in a minute.
        let mut bytes = mail.bytes.load(Ordering::Relaxed);
        let fitting = batch.keeps.iter().take_while(|(_, letter)| {
            bytes = bytes.saturating_add(letter.len() as u64);
            bytes <= mail.limits.bytes_max
        });
        let keeps: Vec<&Letter> = fitting.collect();
        if !keeps.is_empty() {
            let names: Vec<&[u8]> = keeps.iter().map(|((user, _), _)| user.trimmed()).collect();
            let blocks: Vec<&[u8]> = keeps.iter().map(|((_, surb_id), _)| surb_id.as_slice()).collect();
            let letters: Vec<&[u8]> = keeps.iter().map(|(_, letter)| letter.as_slice()).collect();
            let most = i32::try_from(MAILBOX_LETTERS_MAX).unwrap_or(i32::MAX);
            let rows = session.client.query(&statements.keep, &[&names, &blocks, &letters, &most]).await;
            for row in rows.map_err(|error| failed(&error))? {
                written.kept.push(match row.try_get::<_, i32>(0).map_err(|error| failed(&error))? {
                    0 => Kept::Yes,
                    1 => Kept::UnknownUser,
                    _ => Kept::MailboxFull,
                });
            }
            let of = |(kept, (_, letter)): (&Kept, &&Letter)| (*kept == Kept::Yes).then_some(letter.len() as u64);
            let kept: u64 = written.kept.iter().zip(&keeps).filter_map(of).sum();
            mail.bytes.fetch_add(kept, Ordering::Relaxed);
        }
        written.kept.resize(batch.keeps.len(), Kept::StoreFull);
        if !batch.gone.is_empty() {
            let names: Vec<&[u8]> = batch.gone.iter().map(|(user, _)| user.trimmed()).collect();
            let blocks: Vec<&[u8]> = batch.gone.iter().map(|(_, surb_id)| surb_id.as_slice()).collect();
            session.client.query(&statements.gone, &[&names, &blocks]).await.map_err(|error| failed(&error))?;
        }
        Ok(written)
    }

    /// The oldest letters of a user: those that could be delivered.
    pub async fn fetch_letters(&self, user: UserId) -> Result<Vec<Letter>, StoreError> {
        let (session, mail) = self.for_mail()?;
        let statements = session.mail.as_ref().ok_or_else(|| StoreError::Sql("mail is not kept".into()))?;
        let number = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
        let bytes = mail.limits.letter_bytes;
        let wanted = (number(FETCHED_MAX), number(bytes));
        let rows = session.client.query(&statements.take, &[&user.trimmed(), &wanted.0, &wanted.1]).await;
        let mut letters = Vec::new();
        for row in rows.map_err(|error| failed(&error))? {
            let surb_id: Option<&[u8]> = row.try_get(0).map_err(|error| failed(&error))?;
            let body: Option<&[u8]> = row.try_get(1).map_err(|error| failed(&error))?;
            let letter = archive::letter(surb_id, body, bytes);
            letters.extend(letter.map(|(surb_id, body)| ((user, surb_id), body)));
        }
        Ok(letters)
    }

    /// Removes what is too old, and, where there is too much, the newest letters of whoever has most.
    pub async fn sweep_letters(&self) -> Result<Swept, StoreError> {
        let (session, mail) = self.for_mail()?;
        let statements = session.mail.as_ref().ok_or_else(|| StoreError::Sql("mail is not kept".into()))?;
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let (age, bytes) = (number(mail.limits.age_max.as_secs()), number(mail.limits.bytes_max));
        let most = i32::try_from(SWEPT_MAX).unwrap_or(i32::MAX);
        let row = session.client.query_one(&statements.expire, &[&age, &most]).await;
        let expired = column(&row.map_err(|error| failed(&error))?, 0)?;
        let row = session.client.query_one(&statements.sweep, &[&bytes, &most]).await;
        let row = row.map_err(|error| failed(&error))?;
        let (bytes, displaced) = (column(&row, 0)?, column(&row, 1)?);
        mail.bytes.store(bytes, Ordering::Relaxed);
        Ok(Swept { expired, displaced, bytes, has_more: expired.max(displaced) >= SWEPT_MAX as u64 })
    }
}

/// A count.
fn column(row: &Row, at: usize) -> Result<u64, StoreError> {
    let found = row.try_get::<_, i64>(at).map_err(|error| failed(&error));
    found.map(|found| u64::try_from(found).unwrap_or(0))
}

#[cfg(test)]
mod tests;
