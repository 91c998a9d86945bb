//! How many cubes a product of a few rows is, and their launch.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::{OUTPUTS, ROWS, gated_kernel, one_weight_kernel, three_weights_kernel};
use crate::kernel::cube::stored::{storage_of, words_of};
use crate::kernel::cube::tensor::{dims, empty, grid};
use crate::kernel::cube::{ROW_UNITS, array};
use crate::kernel::ops::weight::Layout;

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

/// A weight `[outputs, inner]` and how it is laid out.
pub(in crate::kernel::cube) type Factor<'a, R> = (Layout, &'a CubeTensor<R>);

fn outputs_of<R: CubeRuntime>((layout, weight): Factor<R>) -> usize {
    layout.outputs(weight.meta.shape())
}

/// `x · weightᵀ` of x `[n, inner]` and weight `[outputs, inner]`.
pub(in crate::kernel::cube) fn product<R: CubeRuntime>(
    x: &CubeTensor<R>,
    weight: Factor<R>,
) -> CubeTensor<R> {
    let ([n, _], outputs) = (dims(x), outputs_of(weight));
    let (y, launch) = (empty(x, [n, outputs]), Launch::of(x, &[outputs], ROWS));
    one_weight_kernel::launch(
        &x.client,
        launch.cubes,
        launch.units,
        array(x),
        words_of(weight.1),
        array(&y),
        launch.rows,
        launch.inner,
        outputs as u32,
        launch.tile_rows,
        storage_of(weight.0),
    );
    y
}

/// Three of them of one x.
pub(in crate::kernel::cube) fn three_products<R: CubeRuntime>(
    x: &CubeTensor<R>,
    weights: [Factor<R>; 3],
) -> [CubeTensor<R>; 3] {
    let [n, _] = dims(x);
    let outputs = weights.map(outputs_of);
    let (y, launch) =
        (outputs.map(|outputs| empty(x, [n, outputs])), Launch::of(x, &outputs, ROWS));
    let ([(of_a, weight_a), (of_b, weight_b), (of_c, weight_c)], [y_a, y_b, y_c]) = (weights, &y);
    three_weights_kernel::launch(
        &x.client,
        launch.cubes,
        launch.units,
        array(x),
        words_of(weight_a),
        words_of(weight_b),
        words_of(weight_c),
        array(y_a),
        array(y_b),
        array(y_c),
        launch.rows,
        launch.inner,
        outputs[0] as u32,
        outputs[1] as u32,
        outputs[2] as u32,
        launch.tile_rows,
        storage_of(of_a),
        storage_of(of_b),
        storage_of(of_c),
    );
    y
}

/// `silu(x · gateᵀ) · (x · upᵀ)`.
pub(in crate::kernel::cube) fn gated_product<R: CubeRuntime>(
    x: &CubeTensor<R>,
    gate: Factor<R>,
    up: Factor<R>,
) -> CubeTensor<R> {
    let ([n, _], outputs) = (dims(x), outputs_of(gate));
    // Two sums an output: half the rows keep as many of them.
    let (y, launch) = (empty(x, [n, outputs]), Launch::of(x, &[outputs], ROWS / 2));
    gated_kernel::launch(
        &x.client,
        launch.cubes,
        launch.units,
        array(x),
        words_of(gate.1),
        words_of(up.1),
        array(&y),
        launch.rows,
        launch.inner,
        outputs as u32,
        launch.tile_rows,
        storage_of(gate.0),
        storage_of(up.0),
    );
    y
}
