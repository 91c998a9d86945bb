//! How many cubes a product of a few rows is, and their launch.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::{OUTPUTS, ROWS, gated_kernel, one_weight_kernel, three_weights_kernel};
use crate::kernel::cube::tensor::{dims, empty, grid};
use crate::kernel::cube::{ROW_UNITS, array};

/// A launch over rows and outputs.
struct Launch {
    cubes: CubeCount,
    units: CubeDim,
    rows: u32,
    inner: u32,
    tile_rows: usize,
}

impl Launch {
    fn of<R: CubeRuntime>(x: &CubeTensor<R>, outputs: &[usize], most_rows: usize) -> Self {
        let [rows, inner] = dims(x);
        let tile_rows = rows.next_power_of_two().min(most_rows);
        let tiles: usize = outputs.iter().map(|outputs| outputs.div_ceil(OUTPUTS)).sum();
        Self {
            cubes: grid(rows.div_ceil(tile_rows) * tiles),
            units: CubeDim::new_1d(ROW_UNITS as u32),
            rows: rows as u32,
            inner: inner as u32,
            tile_rows,
        }
    }
}

/// `x · weightᵀ` of x `[n, inner]` and weight `[outputs, inner]`.
pub(in crate::kernel::cube) fn product<R: CubeRuntime>(
    x: &CubeTensor<R>,
    weight: &CubeTensor<R>,
) -> CubeTensor<R> {
    let ([n, _], [outputs, _]) = (dims(x), dims(weight));
    let (y, launch) = (empty(x, [n, outputs]), Launch::of(x, &[outputs], ROWS));
    one_weight_kernel::launch(
        &x.client,
        launch.cubes,
        launch.units,
        array(x),
        array(weight),
        array(&y),
        launch.rows,
        launch.inner,
        outputs as u32,
        launch.tile_rows,
    );
    y
}

/// Three of them of one x.
pub(in crate::kernel::cube) fn three_products<R: CubeRuntime>(
    x: &CubeTensor<R>,
    weights: &[CubeTensor<R>; 3],
) -> [CubeTensor<R>; 3] {
    let [n, _] = dims(x);
    let outputs = weights.each_ref().map(|weight| dims::<R, 2>(weight)[0]);
    let (y, launch) =
        (outputs.map(|outputs| empty(x, [n, outputs])), Launch::of(x, &outputs, ROWS));
    let ([weight_a, weight_b, weight_c], [y_a, y_b, y_c]) = (weights, &y);
    three_weights_kernel::launch(
        &x.client,
        launch.cubes,
        launch.units,
        array(x),
        array(weight_a),
        array(weight_b),
        array(weight_c),
        array(y_a),
        array(y_b),
        array(y_c),
        launch.rows,
        launch.inner,
        outputs[0] as u32,
        outputs[1] as u32,
        outputs[2] as u32,
        launch.tile_rows,
    );
    y
}

/// `silu(x · gateᵀ) · (x · upᵀ)`.
pub(in crate::kernel::cube) fn gated_product<R: CubeRuntime>(
    x: &CubeTensor<R>,
    gate: &CubeTensor<R>,
    up: &CubeTensor<R>,
) -> CubeTensor<R> {
    let ([n, _], [outputs, _]) = (dims(x), dims(gate));
    // Two sums an output: half the rows keep as many of them.
    let (y, launch) = (empty(x, [n, outputs]), Launch::of(x, &[outputs], ROWS / 2));
    gated_kernel::launch(
        &x.client,
        launch.cubes,
        launch.units,
        array(x),
        array(gate),
        array(up),
        array(&y),
        launch.rows,
        launch.inner,
        outputs as u32,
        launch.tile_rows,
    );
    y
}
