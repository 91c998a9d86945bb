//! Picking whole rows on a device: a unit an element.

use burn_cubecl::CubeRuntime;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::stored::open;
use super::tensor::{dims, empty, zeros};
use super::{GpuForm, alone, array, upload};
use crate::kernel::ops::gather_rows::{GatherRows, ScatterRows};
use crate::kernel::ops::weight::Layout;

#[cube(launch)]
fn gather_kernel(x: &Array<f32>, index: &Array<u32>, out: &mut Array<f32>, width: u32, count: u32) {
    let at = ABSOLUTE_POS;
    if at >= count as usize {
        terminate!();
    }
    let width = width as usize;
    out[at] = x[index[at / width] as usize * width + at % width];
}

impl GpuForm<1, 1> for GatherRows {
    fn cubecl<R: CubeRuntime>(&self, [x]: [CubeTensor<R>; 1]) -> [CubeTensor<R>; 1] {
        if let Layout::Stored { storage, input, .. } = self.of {
            return [open(&x, storage, [self.index.len(), input], Some(&self.index))];
        }
        let ([_, width], rows) = (dims(&x), self.index.len());
        let (out, count) = (empty(&x, [rows, width]), rows * width);
        if count > 0 {
            let ((cubes, units), index) = (alone(&x.client, count), upload(&x.client, &self.index));
            let (of_x, of_out) = (array(&x), array(&out));
            let (width, count) = (width as u32, count as u32);
            gather_kernel::launch(&x.client, cubes, units, of_x, index, of_out, width, count);
        }
        [out]
    }
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

/// Each row that received something is summed by one unit a column, so no two units add to one place.
impl GpuForm<1, 1> for ScatterRows {
    fn cubecl<R: CubeRuntime>(&self, [dout]: [CubeTensor<R>; 1]) -> [CubeTensor<R>; 1] {
        let ([_, width], sums) = (dims(&dout), Sums::of(&self.index));
        let dx = zeros(&dout, [self.rows, width]);
        let count = sums.targets.len() * width;
        if count > 0 {
            let (client, (cubes, units)) = (&dout.client, alone(&dout.client, count));
            scatter_kernel::launch(
                client,
                cubes,
                units,
                array(&dout),
                upload(client, &sums.targets),
                upload(client, &sums.starts),
                upload(client, &sums.sources),
                dx.clone().into_array_arg(),
                width as u32,
                count as u32,
            );
        }
        [dx]
    }
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
