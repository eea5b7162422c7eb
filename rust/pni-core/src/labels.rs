//! Class numbers handed over by a caller.

use crate::threads::Team;
use crate::{Error, Result};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Numbers that are looked at between two looks at whether to stop.
const PART: usize = 1 << 16;

/// Refuses labels that are not below `count`, showing the first.
pub(crate) fn check_below(
    what: &'static str,
    allowed: &str,
    labels: &[i64],
    count: usize,
    team: &Team<'_>,
) -> Result<()> {
    let bad = AtomicUsize::new(usize::MAX);
    team.each(labels.len().div_ceil(PART), |part| {
        let first = part * PART;
        let labels = &labels[first..(first + PART).min(labels.len())];
        let outside = |label: &i64| usize::try_from(*label).map_or(true, |class| class >= count);
        if let Some(place) = labels.iter().position(outside) {
            bad.fetch_min(first + place, Ordering::Relaxed);
        }
    })?;
    match bad.into_inner() {
        usize::MAX => Ok(()),
        place => {
            let allowed = format!("{allowed} from 0 to {}", count as i64 - 1);
            Err(Error::invalid(what, allowed, labels[place]))
        }
    }
}
