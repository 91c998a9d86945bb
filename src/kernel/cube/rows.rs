//! Moving whole rows on a device.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::tensor::{dims, empty, writable, zeros};
use super::{alone, array, upload};

#[cube(launch)]
fn gather_kernel(x: &Array<f32>, index: &Array<u32>, out: &mut Array<f32>, width: u32, count: u32) {
    let at = ABSOLUTE_POS;
    if at >= count as usize {
        terminate!();
    }
    let width = width as usize;
    out[at] = x[index[at / width] as usize * width + at % width];
}

/// `out[i] = x[index[i]]`.
pub fn gather<R: CubeRuntime>(x: &CubeTensor<R>, index: &[u32]) -> CubeTensor<R> {
    let [_, width] = dims(x);
    let out = empty(x, [index.len(), width]);
    let count = index.len() * width;
    if count > 0 {
        let ((cubes, units), index) = (alone(&x.client, count), upload(&x.client, index));
        let (width, count) = (width as u32, count as u32);
        gather_kernel::launch(&x.client, cubes, units, array(x), index, array(&out), width, count);
    }
    out
}

#[cube(launch)]
fn write_kernel(x: &mut Array<f32>, index: &Array<u32>, rows: &Array<f32>, width: u32, count: u32) {
    let at = ABSOLUTE_POS;
    if at >= count as usize {
        terminate!();
    }
    let width = width as usize;
    let row = index[at / width] as usize;
    x[row * width + at % width] = rows[at];
}

/// `x[index[i]] ← rows[i]`; in place where nobody else holds `x`.
pub fn write<R: CubeRuntime>(
    x: CubeTensor<R>,
    index: &[u32],
    rows: &CubeTensor<R>,
) -> CubeTensor<R> {
    let x = writable(x);
    let [count, width] = dims(rows);
    if count * width > 0 {
        let (cubes, units) = alone(&x.client, count * width);
        let index = upload(&x.client, index);
        let (width, count) = (width as u32, (count * width) as u32);
        let target = x.clone().into_array_arg();
        write_kernel::launch(&x.client, cubes, units, target, index, array(rows), width, count);
    }
    x
}

#[cube(launch)]
fn scatter_kernel(
    dout: &Array<f32>,
    targets: &Array<u32>,
    starts: &Array<u32>,
    sources: &Array<u32>,
    dx: &mut Array<f32>,
    width: u32,
    count: u32,
) {
    let at = ABSOLUTE_POS;
    if at >= count as usize {
        terminate!();
    }
    let width = width as usize;
    let (target, column) = (at / width, at % width);
    let mut sum = 0.0f32;
    for i in starts[target]..starts[target + 1] {
        sum += dout[sources[i as usize] as usize * width + column];
    }
    let row = targets[target] as usize;
    dx[row * width + column] = sum;
}

/// The gradient of [`gather`]: rows of `dout` summed where they came from, in order. Each row that
/// received something is summed by one unit a column, so no two units add to one place.
pub fn scatter_add<R: CubeRuntime>(
    dout: &CubeTensor<R>,
    index: &[u32],
    rows: usize,
) -> CubeTensor<R> {
    let [_, width] = dims(dout);
    let dx = zeros(dout, [rows, width]);
    let sums = Sums::of(index);
    let count = sums.targets.len() * width;
    if count > 0 {
        let (client, (cubes, units)) = (&dout.client, alone(&dout.client, count));
        scatter_kernel::launch(
            client,
            cubes,
            units,
            array(dout),
            upload(client, &sums.targets),
            upload(client, &sums.starts),
            upload(client, &sums.sources),
            dx.clone().into_array_arg(),
            width as u32,
            count as u32,
        );
    }
    dx
}

/// Which rows are summed into which: `sources[starts[i]..starts[i + 1]]` into `targets[i]`.
struct Sums {
    targets: Vec<u32>,
    starts: Vec<u32>,
    sources: Vec<u32>,
}

impl Sums {
    fn of(index: &[u32]) -> Self {
        let mut sources: Vec<u32> = (0..index.len() as u32).collect();
        sources.sort_by_key(|source| index[*source as usize]);
        let (mut targets, mut starts) = (Vec::new(), Vec::new());
        for (at, source) in sources.iter().enumerate() {
            let target = index[*source as usize];
            if targets.last() != Some(&target) {
                targets.push(target);
                starts.push(at as u32);
            }
        }
        starts.push(sources.len() as u32);
        Self { targets, starts, sources }
    }
}

#[cfg(test)]
mod tests {
    use super::Sums;

    #[test]
    fn rows_are_summed_in_order_where_they_came_from() {
        let sums = Sums::of(&[7, 2, 7, 0, 2]);
        assert_eq!(sums.targets, [0, 2, 7]);
        assert_eq!(sums.starts, [0, 1, 3, 5]);
        assert_eq!(sums.sources, [3, 1, 4, 0, 2]);
    }
}
