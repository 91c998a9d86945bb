//! Passes over elements on a device: activation, rotation, optimiser.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::tensor::{empty, empty_like, writable};
use super::{ROW_UNITS, a_cube_each, alone, array, cube_sum, upload};
use crate::kernel::{AdamW, Rotary};

#[cube]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

#[cube(launch)]
fn swiglu_kernel(gate: &Array<f32>, up: &Array<f32>, y: &mut Array<f32>, count: u32) {
    let at = ABSOLUTE_POS;
    if at >= count as usize {
        terminate!();
    }
    y[at] = gate[at] * sigmoid(gate[at]) * up[at];
}

/// `silu(gate) · up`.
pub fn swiglu<R: CubeRuntime>(gate: &CubeTensor<R>, up: &CubeTensor<R>) -> CubeTensor<R> {
    let (y, count) = (empty_like(gate), gate.meta.shape().num_elements());
    if count > 0 {
        let (cubes, units) = alone(&gate.client, count);
        let (gate_arg, up) = (array(gate), array(up));
        swiglu_kernel::launch(&gate.client, cubes, units, gate_arg, up, array(&y), count as u32);
    }
    y
}

#[cube(launch)]
fn swiglu_backward_kernel(
    gate: &Array<f32>,
    up: &Array<f32>,
    dy: &Array<f32>,
    dgate: &mut Array<f32>,
    dup: &mut Array<f32>,
    count: u32,
) {
    let at = ABSOLUTE_POS;
    if at >= count as usize {
        terminate!();
    }
    let g = gate[at];
    let s = sigmoid(g);
    dup[at] = dy[at] * g * s;
    dgate[at] = dy[at] * up[at] * s * (1.0 + g * (1.0 - s));
}

/// Gradients of `gate` and `up`.
pub fn swiglu_backward<R: CubeRuntime>(
    gate: &CubeTensor<R>,
    up: &CubeTensor<R>,
    dy: &CubeTensor<R>,
) -> [CubeTensor<R>; 2] {
    let shape = gate.meta.shape().clone();
    let [dgate, dup] = [empty_like(gate), empty_like(gate)];
    let count = shape.num_elements();
    if count > 0 {
        let (client, (cubes, units)) = (&gate.client, alone(&gate.client, count));
        swiglu_backward_kernel::launch(
            client,
            cubes,
            units,
            array(gate),
            array(up),
            array(dy),
            array(&dgate),
            array(&dup),
            count as u32,
        );
    }
    [dgate, dup]
}

#[cube(launch)]
fn rotate_kernel(
    x: &Array<f32>,
    cos: &Array<f32>,
    sin: &Array<f32>,
    y: &mut Array<f32>,
    width: u32,
    half: u32,
    sign: f32,
    pairs: u32,
) {
    let pair = ABSOLUTE_POS;
    if pair >= pairs as usize {
        terminate!();
    }
    let (width, half) = (width as usize, half as usize);
    let (token, place) = (pair / (width / 2), pair % (width / 2));
    let (head, i) = (place / half, place % half);
    let low = token * width + head * 2 * half + i;
    let (a, b) = (x[low], x[low + half]);
    let (c, s) = (cos[token * half + i], sin[token * half + i] * sign);
    y[low] = a * c - b * s;
    y[low + half] = b * c + a * s;
}

/// Rotates the heads of `x [n, width]`; `inverse` turns back.
pub fn rotate<R: CubeRuntime>(x: &CubeTensor<R>, rotary: &Rotary, inverse: bool) -> CubeTensor<R> {
    let (y, count) = (empty_like(x), x.meta.shape().num_elements());
    if count > 0 {
        let (client, pairs) = (&x.client, count / 2);
        let (cubes, units) = alone(client, pairs);
        rotate_kernel::launch(
            client,
            cubes,
            units,
            array(x),
            upload(client, rotary.cos()),
            upload(client, rotary.sin()),
            array(&y),
            (count / rotary.tokens()) as u32,
            (rotary.head_dim() / 2) as u32,
            if inverse { -1.0 } else { 1.0 },
            pairs as u32,
        );
    }
    y
}

/// Units that share the sum of a tensor's squares; each strides over it.
const SUMMING: usize = 1 << 14;

#[cube(launch)]
fn squares_kernel(x: &Array<f32>, sums: &mut Array<f32>, count: u32, units: u32) {
    let unit = ABSOLUTE_POS;
    if unit >= units as usize {
        terminate!();
    }
    let mut sum = 0.0f32;
    let mut at = unit;
    while at < count as usize {
        sum += x[at] * x[at];
        at += units as usize;
    }
    sums[unit] = sum;
}

#[cube(launch)]
fn sum_kernel(sums: &Array<f32>, total: &mut Array<f32>, count: u32) {
    let mut shared = SharedMemory::<f32>::new(ROW_UNITS);
    let mut sum = 0.0f32;
    let mut at = UNIT_POS as usize;
    while at < count as usize {
        sum += sums[at];
        at += ROW_UNITS;
    }
    let sum = cube_sum(sum, &mut shared);
    if UNIT_POS == 0 {
        total[0] = sum;
    }
}

/// Σ x² `[1]`, in an order that is always the same. Burn's own sum adds with atomics where there are
/// some.
pub fn sum_of_squares<R: CubeRuntime>(x: &CubeTensor<R>) -> CubeTensor<R> {
    let (total, count, client) = (empty(x, [1]), x.meta.shape().num_elements(), &x.client);
    let summing = count.clamp(1, SUMMING);
    let sums = empty(x, [summing]);
    let (cubes, units) = alone(client, summing);
    let (count, summing) = (count as u32, summing as u32);
    squares_kernel::launch(client, cubes, units, array(x), array(&sums), count, summing);
    let (cubes, units) = a_cube_each(1);
    sum_kernel::launch(client, cubes, units, array(&sums), array(&total), summing);
    total
}

#[cube(launch)]
fn adamw_kernel(
    weight: &mut Array<f32>,
    first: &mut Array<f32>,
    second: &mut Array<f32>,
    gradient: &Array<f32>,
    hyper: &Array<f32>,
    count: u32,
) {
    let at = ABSOLUTE_POS;
    if at >= count as usize {
        terminate!();
    }
    let g = gradient[at] * hyper[5];
    let m = hyper[1] * first[at] + (1.0 - hyper[1]) * g;
    let v = hyper[2] * second[at] + (1.0 - hyper[2]) * g * g;
    let update = m * hyper[6] / ((v * hyper[7]).sqrt() + hyper[3]);
    let w = weight[at];
    first[at] = m;
    second[at] = v;
    weight[at] = w - hyper[0] * (hyper[4] * w + update);
}

/// One step of AdamW; in place where nobody else holds the tensors.
pub fn adamw<R: CubeRuntime>(
    hyper: AdamW,
    tensors: [CubeTensor<R>; 3],
    gradient: &CubeTensor<R>,
) -> [CubeTensor<R>; 3] {
    let count = gradient.meta.shape().num_elements();
    let [weight, first, second] = tensors.map(writable);
    if count > 0 {
        let (client, (cubes, units)) = (&gradient.client, alone(&gradient.client, count));
        adamw_kernel::launch(
            client,
            cubes,
            units,
            weight.clone().into_array_arg(),
            first.clone().into_array_arg(),
            second.clone().into_array_arg(),
            array(gradient),
            upload(client, &hyper_parameters(hyper)),
            count as u32,
        );
    }
    [weight, first, second]
}

/// The numbers of a step in the order the kernel reads them, with Adam's two bias corrections.
fn hyper_parameters(hyper: AdamW) -> [f32; 8] {
    [
        hyper.learning_rate,
        hyper.beta_1,
        hyper.beta_2,
        hyper.epsilon,
        hyper.weight_decay,
        hyper.grad_scale,
        1.0 / (1.0 - hyper.beta_1.powi(hyper.step)),
        1.0 / (1.0 - hyper.beta_2.powi(hyper.step)),
    ]
}
