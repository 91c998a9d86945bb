//! Schedules played through without a model.

use std::collections::BTreeSet;

use super::{Room, Schedule, Step};
use crate::kernel::PAGE;

/// Prompts of several lengths and numbers of rows, one of them without any.
const GROUPS: [(usize, usize); 7] = [(3, 4), (17, 1), (33, 9), (1, 0), (16, 2), (40, 8), (5, 5)];

/// The longest completion in tokens, of which all but the last are computed.
const LONGEST: usize = 5 * PAGE + 1;

/// Pages of the longest prompt and of the longest completion.
const LEAST: usize = 3 + 5;

fn schedule(pages: usize, rows: usize) -> Schedule {
    Schedule::new(Room { pages, rows, of_row: 5 }, GROUPS.into_iter())
}

/// Length of the completion of a row: some of every length, some of the longest.
fn length(seed: usize, row: usize) -> usize {
    let mixed = ((row * 31 + seed * 17 + 7) * 2_654_435_761 % (1 << 32)) >> 7;
    if mixed.is_multiple_of(3) { LONGEST } else { 1 + mixed % LONGEST }
}

/// Pages that are free or somewhere in use, each exactly once.
fn check_pages(schedule: &Schedule) {
    let of_rows = schedule.rows.iter().flat_map(|row| &row.pages);
    let of_groups = schedule.groups.iter().flat_map(|group| &group.pages);
    let all: Vec<u32> = schedule.free.iter().chain(of_rows).chain(of_groups).copied().collect();
    let distinct: BTreeSet<u32> = all.iter().copied().collect();
    assert_eq!((all.len(), distinct.len()), (schedule.room.pages, schedule.room.pages));
}

/// What a whole run took.
#[derive(Debug, Default)]
struct Played {
    steps: usize,
    /// Times that a row waited for a page.
    waits: usize,
    most_open: usize,
    /// Most tokens of a step behind the first.
    ahead: usize,
}

/// Plays until the last row has ended, and looks after every rule at each step.
fn play(schedule: &mut Schedule, length: impl Fn(usize) -> usize) -> Played {
    play_ahead(schedule, length, 1)
}

/// The same with up to so many tokens of each row at a step, of which those behind its end do not count.
fn play_ahead(schedule: &mut Schedule, length: impl Fn(usize) -> usize, most: usize) -> Played {
    let mut drawn = vec![0; schedule.rows.len()];
    let (mut played, mut computed) = (Played::default(), BTreeSet::new());
    loop {
        let open = schedule.open.clone();
        let Step { advancing, opened, prompts } = schedule.step();
        if advancing.is_empty() && opened.is_empty() {
            assert!(drawn.iter().enumerate().all(|(row, drawn)| *drawn == length(row)));
            assert_eq!(schedule.free.len(), schedule.room.pages, "pages that nobody gave back");
            return played;
        }
        check_pages(schedule);
        assert!(schedule.free.len() >= schedule.reserved(), "the oldest may be stuck");
        assert_eq!(advancing.first(), open.first(), "the oldest never waits");
        assert!(schedule.open.len() <= schedule.room.rows);
        assert!(schedule.open.is_sorted());
        for group in prompts {
            assert!(computed.insert(group), "the prompt {group} is computed twice");
        }
        played.steps += 1;
        played.waits += open.len() - advancing.len();
        played.most_open = played.most_open.max(schedule.open.len());
        let rows = [advancing, opened].concat();
        for row in &rows {
            let row = *row;
            let [prompt, own] = schedule.keys(row);
            assert!(computed.contains(&schedule.rows[row].group));
            assert_eq!(
                (prompt.tokens, own.tokens),
                (GROUPS[schedule.rows[row].group].0, drawn[row])
            );
            assert!(own.pages.len() * PAGE >= own.tokens);
            drawn[row] += 1;
        }
        for ahead in 1..most {
            let goes_on = |row: &&usize| schedule.rows[**row].tokens + 1 < LONGEST;
            let rows: Vec<usize> = rows.iter().filter(goes_on).copied().collect();
            if !schedule.go_on(&rows) {
                break;
            }
            check_pages(schedule);
            assert!(schedule.free.len() >= schedule.reserved(), "the oldest may be stuck");
            played.ahead = played.ahead.max(ahead);
            for row in rows {
                assert!(schedule.rows[row].pages.len() * PAGE >= schedule.rows[row].tokens);
                drawn[row] = length(row).min(drawn[row] + 1);
            }
        }
        for row in rows.into_iter().filter(|row| drawn[*row] == length(*row)) {
            schedule.close(row);
        }
    }
}

#[test]
fn every_row_ends_whatever_the_room_and_the_lengths_and_no_page_has_two_owners() {
    let mut waits = 0;
    for seed in 0..6 {
        for pages in [LEAST, LEAST + 1, 12, 20, 40, 400] {
            for rows in [1, 2, 5, 29, 100] {
                waits += play(&mut schedule(pages, rows), |row| length(seed, row)).waits;
            }
        }
    }
    assert!(waits > 0, "no row ever had to wait for a page");
}

#[test]
fn every_row_ends_as_well_where_tokens_are_drawn_ahead() {
    for seed in 0..4 {
        for pages in [LEAST, LEAST + 1, 12, 20, 400] {
            for rows in [1, 5, 29] {
                let mut schedule = schedule(pages, rows);
                let played = play_ahead(&mut schedule, |row| length(seed, row), 8);
                assert!(pages < 400 || played.ahead == 7);
            }
        }
    }
}

#[test]
fn with_room_for_all_nobody_waits_and_a_step_is_a_token() {
    let played = play(&mut schedule(400, 100), |_| LONGEST);
    assert_eq!((played.steps, played.waits, played.most_open), (LONGEST, 0, 29));
}

#[test]
fn rows_that_all_become_the_longest_never_wait_for_a_page() {
    for pages in [LEAST, 13, 31, 64] {
        assert_eq!(play(&mut schedule(pages, 100), |_| LONGEST).waits, 0, "{pages} pages");
    }
}

#[test]
fn the_place_of_a_row_that_ended_is_taken_at_the_next_step() {
    let groups = [(4, 3), (6, 1)];
    let mut schedule = Schedule::new(Room { pages: 20, rows: 2, of_row: 3 }, groups.into_iter());
    let step = |advancing: &[usize], opened: &[usize], prompts: &[usize]| Step {
        advancing: advancing.to_vec(),
        opened: opened.to_vec(),
        prompts: prompts.to_vec(),
    };
    assert_eq!(schedule.step(), step(&[], &[0, 1], &[0]));
    schedule.close(0);
    assert_eq!(schedule.step(), step(&[1], &[2], &[]));
    schedule.close(2);
    assert_eq!(schedule.step(), step(&[1], &[3], &[1]));
    assert_eq!(schedule.prompt(0).pages.len(), 1);
    schedule.close(1);
    assert!(schedule.prompt(0).pages.is_empty(), "the pages of a prompt go with its last row");
    assert_eq!(schedule.step(), step(&[3], &[], &[]));
    schedule.close(3);
    assert_eq!(schedule.step(), Step::default());
}

#[test]
fn where_rows_end_early_more_are_under_way_than_could_all_become_the_longest() {
    let groups = [(1, 60)];
    let room = Room { pages: 41, rows: 100, of_row: 4 };
    let mut drawn = [0; 60];
    let mut schedule = Schedule::new(room, groups.into_iter());
    let mut most_open = 0;
    loop {
        let Step { advancing, opened, .. } = schedule.step();
        let rows = [advancing, opened].concat();
        most_open = most_open.max(schedule.open.len());
        for row in &rows {
            drawn[*row] += 1;
            // Of ten rows one takes all four pages and nine take one.
            if drawn[*row] == if row % 10 == 0 { 4 * PAGE + 1 } else { 3 } {
                schedule.close(*row);
            }
        }
        if rows.is_empty() {
            break;
        }
    }
    assert!(most_open > 10, "only {most_open} of the 40 pages' rows");
}
