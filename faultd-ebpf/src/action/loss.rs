//! Which packets a loss rule drops.

use faultd_abi::{ACTION_LOSS_EVERY, ACTION_LOSS_GEMODEL, Loss, Rule, RuleState};

use crate::{
    atomic::fetch_add,
    rng::{Draw, draw},
};

/// Whether this packet is lost.
#[inline(always)]
pub fn drops(rule: &Rule, state: &mut RuleState) -> bool {
    let n = number(state);
    match rule.action {
        ACTION_LOSS_EVERY => every(&rule.loss, n),
        ACTION_LOSS_GEMODEL => gilbert_elliott(&rule.loss, draw(rule.seed, n), state),
        _ => random(&rule.loss, n, draw(rule.seed, n), state),
    }
}

/// The packet's number within the rule, from 0.
#[inline(always)]
pub fn number(state: &mut RuleState) -> u64 {
    fetch_add(&mut state.packets, 1)
}

/// Exact under concurrency: every number is handed out once.
#[inline(always)]
const fn every(loss: &Loss, n: u64) -> bool {
    loss.every != 0 && (n + 1) % loss.every == 0
}

/// Independent draws, or with some probability the previous decision again.
///
/// Repeating the decision leaves the share of lost packets exactly at
/// `probability` and makes neighbours correlate by exactly `correlation`.
/// netem mixes the previous *number* into the new one instead
/// (`get_crandom`, net/sched/sch_netem.c), which narrows the distribution: 10 %
/// loss with 50 % correlation loses hardly anything there.
#[inline(always)]
fn random(loss: &Loss, n: u64, draw: Draw, state: &mut RuleState) -> bool {
    if n != 0 && draw.low() < loss.correlation {
        return state.previous != 0;
    }
    let lost = draw.high() < loss.probability;
    state.previous = u64::from(lost);
    lost
}

/// The Gilbert-Elliott model as netem has it (`loss_gilb_ell`,
/// net/sched/sch_netem.c): the state before the packet decides its loss.
#[inline(always)]
fn gilbert_elliott(loss: &Loss, draw: Draw, state: &mut RuleState) -> bool {
    if state.bad == 0 {
        if draw.high() < loss.good_to_bad {
            state.bad = 1;
        }
        return draw.low() < loss.loss_good;
    }
    if draw.high() < loss.bad_to_good {
        state.bad = 0;
    }
    draw.low() < loss.loss_bad
}
