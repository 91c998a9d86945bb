//! Several files in the shares that their weights say.

use super::super::{DataError, purpose};
use super::Notes;
use super::reader::Kept;
use crate::data::Source;
use crate::random::Stream;

/// Takes of each source as many rows as keep the weights and use one of the sources whole: no row comes twice. Which
/// rows of the others are taken the seed says; they stay in their order.
pub(super) fn mixed(
    sources: &[Source],
    rows: Vec<Vec<Kept>>,
    seed: u64,
    notes: &mut Notes,
) -> Result<Vec<Kept>, DataError> {
    if sources.iter().all(|source| source.weight.is_none()) {
        return Ok(rows.into_iter().flatten().collect());
    }
    let weights: Vec<f64> = sources.iter().map(|source| source.weight.unwrap_or(1.0)).collect();
    let lengths: Vec<usize> = rows.iter().map(Vec::len).collect();
    let counts = counts(&weights, &lengths);
    if let Some(at) = counts.iter().position(|count| *count == 0) {
        let problem = format!(
            "with these weights no row of {} would be taken; raise its weight or lower another",
            sources[at]
        );
        return Err(DataError::setting("path", problem));
    }
    for ((source, count), length) in sources.iter().zip(&counts).zip(&lengths) {
        if count < length {
            notes.say(format!(
                "{count} of the {length} rows of {source} are used, as the weights say"
            ));
        }
    }
    let parts = rows.into_iter().zip(counts).enumerate();
    Ok(parts.flat_map(|(at, (rows, count))| chosen(rows, count, seed, at as u32)).collect())
}

/// How many rows each source gives.
fn counts(weights: &[f64], lengths: &[usize]) -> Vec<usize> {
    let whole = |(weight, length): (&f64, &usize)| *length as f64 / weight;
    let unit = weights.iter().zip(lengths).map(whole).fold(f64::INFINITY, f64::min);
    let count = |(weight, length): (&f64, &usize)| ((unit * weight).round() as usize).min(*length);
    weights.iter().zip(lengths).map(count).collect()
}

fn chosen(rows: Vec<Kept>, count: usize, seed: u64, at: u32) -> Vec<Kept> {
    let order = Stream::with_index(seed, purpose::MIXTURE, at).permutation(rows.len());
    let mut is_taken = vec![false; rows.len()];
    order.into_iter().take(count).for_each(|index| is_taken[index] = true);
    rows.into_iter().zip(is_taken).filter(|(_, taken)| *taken).map(|(row, _)| row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_for_its_weight_is_used_whole_and_the_others_in_proportion() {
        assert_eq!(counts(&[1.0, 1.0], &[10, 30]), [10, 10]);
        assert_eq!(counts(&[0.9, 0.1], &[90, 1000]), [90, 10]);
        assert_eq!(counts(&[2.0, 1.0, 1.0], &[10, 100, 7]), [10, 5, 5]);
        assert_eq!(counts(&[1e6, 1.0], &[10, 10]), [10, 0]);
    }
}
