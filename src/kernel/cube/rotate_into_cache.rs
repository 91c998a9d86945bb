//! Rotation of queries and keys, and keys and values to their slots, on a device: a unit for each pair of
//! elements of the three.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::tensor::{dims, empty_like, writable};
use super::{GpuForm, alone, array};
use crate::kernel::ops::rotate_into_cache::RotateIntoCache;

/// The pair at `place` of a token's row of pairs, turned by that token's angles: where its first element
/// lies in the row, and the two.
#[cube]
fn turned(
    x: &Array<f32>,
    cos: &Array<f32>,
    sin: &Array<f32>,
    token: usize,
    place: usize,
    width: usize,
    half: usize,
) -> (usize, f32, f32) {
    let i = place % half;
    let low = place / half * 2 * half + i;
    let (a, b) = (x[token * width + low], x[token * width + low + half]);
    let (c, s) = (cos[token * half + i], sin[token * half + i]);
    (low, a * c - b * s, b * c + a * s)
}

#[cube(launch)]
fn rotate_into_cache_kernel(
    cached_keys: &mut Array<f32>,
    cached_values: &mut Array<f32>,
    queries: &Array<f32>,
    keys: &Array<f32>,
    values: &Array<f32>,
    rotated: &mut Array<f32>,
    cos: &Array<f32>,
    sin: &Array<f32>,
    slots: &Array<u32>,
    width: u32,
    kv_width: u32,
    half: u32,
    pairs: u32,
) {
    let pair = ABSOLUTE_POS;
    if pair >= pairs as usize {
        terminate!();
    }
    let (width, kv_width, half) = (width as usize, kv_width as usize, half as usize);
    let of_token = width / 2 + kv_width;
    let (token, place) = (pair / of_token, pair % of_token);
    if place < width / 2 {
        let (low, a, b) = turned(queries, cos, sin, token, place, width, half);
        rotated[token * width + low] = a;
        rotated[token * width + low + half] = b;
    } else {
        let place = place - width / 2;
        let slot = slots[token] as usize * kv_width;
        if place < kv_width / 2 {
            let (low, a, b) = turned(keys, cos, sin, token, place, kv_width, half);
            cached_keys[slot + low] = a;
            cached_keys[slot + low + half] = b;
        } else {
            let at = place - kv_width / 2;
            cached_values[slot + at] = values[token * kv_width + at];
            let at = at + kv_width / 2;
            cached_values[slot + at] = values[token * kv_width + at];
        }
    }
}

impl GpuForm<5, 3> for RotateIntoCache {
    fn cubecl<R: CubeRuntime>(
        &self,
        [cached_keys, cached_values, queries, keys, values]: [CubeTensor<R>; 5],
    ) -> [CubeTensor<R>; 3] {
        let ([n, width], [_, kv_width]) = (dims(&queries), dims(&keys));
        let [cached_keys, cached_values] = [cached_keys, cached_values].map(writable);
        let (rotated, client) = (empty_like(&queries), &queries.client);
        let pairs = n * (width / 2 + kv_width);
        if pairs > 0 {
            let (cubes, units) = alone(client, pairs);
            rotate_into_cache_kernel::launch(
                client,
                cubes,
                units,
                cached_keys.clone().into_array_arg(),
                cached_values.clone().into_array_arg(),
                array(&queries),
                array(&keys),
                array(&values),
                array(&rotated),
                self.rotary.cos().beside(&queries).into_array_arg(),
                self.rotary.sin().beside(&queries).into_array_arg(),
                self.slots.beside(&queries).into_array_arg(),
                width as u32,
                kv_width as u32,
                (self.rotary.head_dim() / 2) as u32,
                pairs as u32,
            );
        }
        [cached_keys, cached_values, rotated]
    }
}
