//! Matrices: what formulas of them come to, cell by cell.

use super::formula::Formula;

type Rows = Vec<Vec<Formula>>;

/// Wider and longer ones are not multiplied.
const MOST_CELLS: usize = 256;
/// Signs in all cells together, which grow with each factor.
const MOST_PARTS: usize = 20_000;

/// Whether a matrix is part of a formula.
pub(super) fn has_matrix(formula: &Formula) -> bool {
    formula.has(&|part| matches!(part, Formula::Matrix(_)))
}

/// The cells of a formula of matrices; none where it is not one.
pub(super) fn cells(formula: &Formula) -> Option<Rows> {
    let rows = match formula {
        Formula::Matrix(rows) => {
            (rows.len() * rows.first()?.len() <= MOST_CELLS).then(|| rows.clone())
        }
        Formula::Negative(of) => Some(each(cells(of)?, Formula::negative)),
        Formula::Quotient(of, by) if !has_matrix(by) => {
            Some(each(cells(of)?, |cell| Formula::over(cell, by.as_ref().clone())))
        }
        Formula::Sum(parts) => {
            let mut sums = parts.iter().map(cells);
            let first = sums.next()??;
            sums.try_fold(first, |sum, part| added(sum, part?))
        }
        Formula::Product(factors) => product(factors),
        _ => None,
    };
    rows.filter(is_small)
}

fn is_small(rows: &Rows) -> bool {
    fn parts(formula: &Formula) -> usize {
        1 + formula.parts().into_iter().map(parts).sum::<usize>()
    }
    rows.iter().flatten().map(parts).sum::<usize>() <= MOST_PARTS
}

fn each(rows: Rows, change: impl Fn(Formula) -> Formula) -> Rows {
    rows.into_iter().map(|row| row.into_iter().map(&change).collect()).collect()
}

fn added(ours: Rows, theirs: Rows) -> Option<Rows> {
    let same_size = ours.len() == theirs.len() && ours.first()?.len() == theirs.first()?.len();
    let rows = ours.into_iter().zip(theirs);
    let add = |(a, b): (Vec<Formula>, Vec<Formula>)| {
        a.into_iter().zip(b).map(|(a, b)| Formula::Sum(vec![a, b])).collect()
    };
    same_size.then(|| rows.map(add).collect())
}

fn product(factors: &[Formula]) -> Option<Rows> {
    let numbers: Vec<Formula> =
        factors.iter().filter(|factor| !has_matrix(factor)).cloned().collect();
    let mut matrices = factors.iter().filter(|factor| has_matrix(factor)).map(cells);
    let first = matrices.next()??;
    let rows = matrices
        .try_fold(first, |product, factor| multiplied(&product, &factor?).filter(is_small))?;
    Some(each(rows, |cell| {
        let mut factors = numbers.clone();
        factors.push(cell);
        Formula::Product(factors)
    }))
}

fn multiplied(ours: &Rows, theirs: &Rows) -> Option<Rows> {
    let width = theirs.first()?.len();
    // Cells that hold products already would grow with each factor.
    let fits =
        ours.len() * theirs.len() * width <= MOST_CELLS && ours.first()?.len() == theirs.len();
    let cell = |row: &[Formula], column: usize| {
        let terms = row
            .iter()
            .zip(theirs)
            .map(|(a, b)| Formula::Product(vec![a.clone(), b[column].clone()]));
        Formula::Sum(terms.collect())
    };
    fits.then(|| {
        ours.iter().map(|row| (0..width).map(|column| cell(row, column)).collect()).collect()
    })
}
