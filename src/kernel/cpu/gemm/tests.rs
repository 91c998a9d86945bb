//! Products against their definition, and what an element of one depends on.

use super::*;

const A: [f32; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];

/// Small whole numbers, which any order of addition gives exactly.
fn whole(length: usize, first: usize) -> Vec<f32> {
    (first..first + length).map(|i| (i * 7 % 11) as f32 - 5.0).collect()
}

fn wave(length: usize, rate: f32) -> Vec<f32> {
    (0..length).map(|i| (i as f32 * rate).sin()).collect()
}

/// The product by its definition.
fn exact(a: &[f32], b: &[f32], [n, inner, columns]: [usize; 3]) -> Vec<f32> {
    let element =
        |i: usize, j: usize| (0..inner).map(|k| a[i * inner + k] * b[k * columns + j]).sum::<f32>();
    (0..n * columns).map(|at| element(at / columns, at % columns)).collect()
}

/// The transpose of a matrix `[rows, cols]`.
fn transposed(matrix: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    (0..rows * cols).map(|at| matrix[at % rows * cols + at / rows]).collect()
}

#[test]
fn a_product_is_its_definition_for_every_size_and_layout_of_both_sides() {
    let sizes = [1, 2, 5, 6, 7, 8, 15, 16, 17, 33, 97, 200];
    for (i, n) in sizes.into_iter().enumerate() {
        for (j, columns) in sizes.into_iter().enumerate() {
            let inner = [1, 3, 16, 255, 256, 257, 600][(i + j) % 7];
            let shape = [n, inner, columns];
            let (a, b) = (whole(n * inner, 1), whole(inner * columns, 4));
            let expected = exact(&a, &b, shape);
            let (at, bt) = (transposed(&a, n, inner), transposed(&b, inner, columns));
            for a in [Matrix::new(&a, n, inner), Matrix::new(&at, inner, n).t()] {
                for b in [Matrix::new(&b, inner, columns), Matrix::new(&bt, columns, inner).t()] {
                    assert_eq!(product(a, b), expected, "{shape:?}");
                }
            }
        }
    }
}

/// Both kinds of factors, as far as this machine has them.
fn all_factors() -> Vec<Factors> {
    if has_bf16() {
        return vec![Factors::F32, Factors::Bf16];
    }
    println!("skipped: products of bf16, for this machine has no AVX512-BF16");
    vec![Factors::F32]
}

#[test]
fn a_product_of_bf16_is_that_of_rounded_factors_for_every_size_and_layout() {
    if all_factors().len() == 1 {
        return;
    }
    let rounded = |x: &f32| half::bf16::from_f32(*x).to_f32();
    for [n, inner, columns] in
        [[1, 1, 1], [9, 0, 20], [3, 7, 16], [8, 256, 33], [17, 515, 70], [100, 64, 15]]
    {
        let (a, b) = (wave(n * inner, 0.7), wave(inner * columns, 0.3));
        let [near_a, near_b]: [Vec<f64>; 2] =
            [&a, &b].map(|side| side.iter().map(|x| f64::from(rounded(x))).collect());
        let (at, bt) = (transposed(&a, n, inner), transposed(&b, inner, columns));
        for a in [Matrix::new(&a, n, inner), Matrix::new(&at, inner, n).t()] {
            for b in [Matrix::new(&b, inner, columns), Matrix::new(&bt, columns, inner).t()] {
                for (at, got) in product_as(a, b, Factors::Bf16).into_iter().enumerate() {
                    let (i, j) = (at / columns, at % columns);
                    let of = |k: usize| near_a[i * inner + k] * near_b[k * columns + j];
                    let expected: f64 = (0..inner).map(of).sum();
                    assert!((f64::from(got) - expected).abs() < 1e-4, "{got} {expected}");
                }
            }
        }
    }
}

#[test]
fn an_element_depends_on_its_row_and_its_column_alone() {
    for factors in all_factors() {
        element_alone(|a, b| product_as(a, b, factors));
    }
}

fn element_alone(product: impl Fn(Matrix, Matrix) -> Vec<f32>) {
    let (n, inner, columns) = (131, 700, 83);
    let (a, b) = (wave(n * inner, 0.7), wave(inner * columns, 0.3));
    let b = Matrix::new(&b, inner, columns);
    let together = product(Matrix::new(&a, n, inner), b);
    for rows in [1, 2, 5, 13, 40] {
        for (block, a) in a.chunks(rows * inner).enumerate() {
            let alone = product(Matrix::new(a, a.len() / inner, inner), b);
            let at = block * rows * columns;
            assert_eq!(alone, together[at..at + alone.len()], "{rows} rows at a time");
        }
    }
    let first = Matrix::strided(b.data, inner, 20, columns);
    let narrow = product(Matrix::new(&a, n, inner), first);
    for (narrow, wide) in narrow.chunks(20).zip(together.chunks(columns)) {
        assert_eq!(narrow, &wide[..20]);
    }
}

#[test]
fn a_sum_in_pieces_has_the_order_of_a_sum_in_one() {
    let (n, inner, columns) = (9, 90, 21);
    let (a, b) = (wave(n * inner, 0.7), wave(inner * columns, 0.3));
    let whole = product(Matrix::new(&a, n, inner), Matrix::new(&b, inner, columns));
    let mut pieces = vec![0.0; n * columns];
    for k in (0..inner).step_by(30) {
        let a = Matrix::strided(&a[k..], n, 30, inner);
        let b = Matrix::new(&b[k * columns..(k + 30) * columns], 30, columns);
        add_product(&mut pieces, a, b);
    }
    assert_eq!(pieces, whole);
}

#[test]
fn accumulating_adds_to_what_was_there() {
    let column = Matrix::strided(&A, 2, 1, 3);
    let mut out = [10.0, 20.0];
    add_product(&mut out, column, Matrix::new(&[1.0], 1, 1));
    assert_eq!(out, [11.0, 24.0]);
}

#[test]
fn a_side_that_is_packed_once_serves_many_products() {
    let (inner, columns) = (40, 50);
    let b = whole(inner * columns, 3);
    let b = Matrix::new(&b, inner, columns);
    let packed = pack(b);
    for n in [1, 30] {
        let a = whole(n * inner, n);
        let a = Matrix::new(&a, n, inner);
        let panels = Panels::new(&packed, inner, columns);
        assert_eq!(product_of_panels(a, panels), product(a, b));
    }
}

#[test]
fn an_empty_inner_dimension_gives_zeros_and_empty_sides_give_nothing() {
    assert_eq!(product(Matrix::new(&[], 200, 0), Matrix::new(&[], 0, 2)), [0.0; 400]);
    assert_eq!(product(Matrix::new(&[], 0, 3), Matrix::new(&A, 3, 2)), [0.0; 0]);
    assert_eq!(product(Matrix::new(&A, 2, 3), Matrix::new(&[], 3, 0)), [0.0; 0]);
}

#[test]
fn the_tasks_of_a_grid_cover_every_element_once() {
    let lanes = vec![0.0; 16 * 40 * 70];
    for (rows, inner, panels) in [(1, 70, 40), (300, 70, 3), (97, 2, 40), (1000, 1, 1)] {
        let b = Panels::new(&lanes[..16 * inner * panels], inner, 16 * panels);
        let a = Matrix { data: &[], rows, cols: inner, row_stride: inner, col_stride: 1 };
        let grid = Grid::new(a, b);
        let mut seen = vec![0; rows * panels];
        for task in 0..grid.tasks() {
            let (rows, columns) = grid.task(task);
            for row in rows.0..rows.1 {
                (columns.0..columns.1).for_each(|panel| seen[row * panels + panel] += 1);
            }
        }
        assert!(seen.iter().all(|seen| *seen == 1), "{rows} rows, {panels} panels");
    }
}
