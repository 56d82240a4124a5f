//! Stages: ramps, steps and spikes become stretches that are constant or linear.

use std::time::Duration;

use faultd_api::Span;

use super::{Builder, name};
use crate::{
    plan::{Arrival, Flow, Stage},
    scenario::{
        file::{ShapeFile, StageFile},
        read::{Amount, Located, Place, Problem, TextOr},
    },
    words,
};

/// More flows a second, and more users, are a typing error on one host.
const MAX_RATE: f64 = 1e6;
const MAX_USERS: f64 = 1e6;
/// More steps are one, too.
const MAX_STEPS: f64 = 1000.0;

/// A stretch of a shape: its length and the values at its ends.
struct Piece {
    length: Duration,
    from: f64,
    to: f64,
}

/// What a shape counts.
#[derive(Clone, Copy)]
enum Of {
    Rate,
    Users,
}

impl Builder<'_> {
    pub(super) fn stages(&self, flows: &[Flow]) -> Result<Vec<Stage>, Problem> {
        let files = &self.file.stages;
        if files.is_empty() {
            return Err(Problem::at(
                files.place,
                "there has to be a stage: say what is sent and for how long",
            )
            .within("stages"));
        }
        let mut stages: Vec<Stage> = Vec::new();
        for (at, file) in files.iter().enumerate() {
            let built = self.stage(file, at, flows);
            stages.extend(built.map_err(|e| e.within(format!("[{at}]")).within("stages"))?);
        }
        Ok(stages)
    }

    fn stage(
        &self,
        located: &Located<StageFile>,
        at: usize,
        flows: &[Flow],
    ) -> Result<Vec<Stage>, Problem> {
        let file = &located.value;
        let named = match &file.name {
            Some(written) => name(written).map_err(|e| e.within("name"))?,
            None => format!("stage-{}", at + 1),
        };
        let mix = self.mix(file, flows)?;
        let given = [file.rate.is_some(), file.users.is_some(), file.pause];
        if given.iter().filter(|given| **given).count() != 1 {
            let message =
                "a stage has one of `rate` (flows started a second), `users` and `pause: true`";
            return Err(Problem::at(located.place, message));
        }
        let (of, pieces) = match (&file.rate, &file.users) {
            (Some(rate), _) => (
                Of::Rate,
                shape(rate, file, located.place, Of::Rate).map_err(|e| e.within("rate"))?,
            ),
            (_, Some(users)) => (
                Of::Users,
                shape(users, file, located.place, Of::Users).map_err(|e| e.within("users"))?,
            ),
            _ => {
                let length = length(file, located.place)?;
                return Ok(vec![Stage {
                    name: named,
                    duration: self.scaled(length),
                    arrival: Arrival::Pause,
                    mix,
                }]);
            }
        };
        let count = pieces.len();
        let stage = |(at, piece): (usize, Piece)| Stage {
            name: if count == 1 { named.clone() } else { format!("{named}/{}", at + 1) },
            duration: self.scaled(piece.length),
            arrival: match of {
                Of::Rate => Arrival::Rate { from: piece.from, to: piece.to },
                Of::Users => Arrival::Users { from: piece.from as u32, to: piece.to as u32 },
            },
            mix: mix.clone(),
        };
        Ok(pieces.into_iter().enumerate().map(stage).collect())
    }

    /// Flows by their index, with their weights.
    fn mix(&self, file: &StageFile, flows: &[Flow]) -> Result<Vec<(usize, f64)>, Problem> {
        let names: Vec<&str> = flows.iter().map(|f| f.name.as_str()).collect();
        let index = |name: &Located<String>| {
            names.iter().position(|known| *known == name.as_str()).ok_or_else(|| {
                let message =
                    format!("there is no flow {:?}{}", name.as_str(), words::instead(name, &names));
                Problem::at(name.place, message)
            })
        };
        match (&file.flow, &file.mix) {
            (Some(flow), Some(_)) => {
                Err(Problem::at(flow.place, "`flow` and `mix` at once: say one of them")
                    .within("flow"))
            }
            (Some(flow), None) => Ok(vec![(index(flow).map_err(|e| e.within("flow"))?, 1.0)]),
            (None, Some(mix)) => {
                let entry = |(name, value): &(Located<String>, Located<f64>)| {
                    let built = index(name).and_then(|at| Ok((at, weight(value)?)));
                    built.map_err(|e| e.within(name.as_str()).within("mix"))
                };
                let entries: Vec<(usize, f64)> =
                    mix.0.iter().map(entry).collect::<Result<_, _>>()?;
                match entries.is_empty() {
                    true => Err(Problem {
                        message: "`mix` names no flow".into(),
                        place: None,
                        path: Vec::new(),
                    }),
                    false => Ok(entries),
                }
            }
            (None, None) => {
                let weights = self
                    .file
                    .flows
                    .0
                    .iter()
                    .map(|(_, f)| f.weight.as_ref().map_or(1.0, |w| w.value));
                Ok(weights.enumerate().collect())
            }
        }
    }
}

/// A weight that can be drawn by.
pub(super) fn weight(weight: &Located<f64>) -> Result<f64, Problem> {
    if weight.value > 0.0 && weight.value.is_finite() {
        return Ok(weight.value);
    }
    let message =
        format!("a weight is above zero, got {}; leave out what is not to be run", weight.value);
    Err(Problem::at(weight.place, message))
}

fn length(file: &StageFile, place: Place) -> Result<Duration, Problem> {
    let missing =
        || Problem::at(place, "`for` is missing: say how long the stage lasts, such as `for: 30s`");
    file.duration.as_ref().map(|d| d.get()).ok_or_else(missing)
}

fn value(amount: &Amount, place: Place, of: Of) -> Result<f64, Problem> {
    let wrong = |message: String| Problem::at(place, message);
    match of {
        Of::Rate => {
            let rate = words::rate(&amount.0).map_err(wrong)?;
            if rate > MAX_RATE {
                return Err(wrong(format!("{:?} is more than one host can send", amount.0)));
            }
            Ok(rate)
        }
        Of::Users => {
            let text = amount.0.trim();
            if text.contains('/') {
                return Err(wrong(format!(
                    "takes a number of users such as 50, got {text:?}; a rate belongs into `rate`"
                )));
            }
            match text.parse::<u32>() {
                Ok(users) if f64::from(users) <= MAX_USERS => Ok(users.into()),
                Ok(users) => Err(wrong(format!("{users} users are more than one host can hold"))),
                Err(_) if text.starts_with('-') => {
                    Err(wrong(format!("a number of users cannot be negative, got {text:?}")))
                }
                Err(_) => Err(wrong(format!("takes a number of users such as 50, got {text:?}"))),
            }
        }
    }
}

fn shape(
    written: &Located<TextOr<ShapeFile>>,
    file: &StageFile,
    stage: Place,
    of: Of,
) -> Result<Vec<Piece>, Problem> {
    let pieces = match &written.value {
        TextOr::Text(text) => {
            let constant = value(&Amount(text.clone()), written.place, of)?;
            vec![Piece { length: length(file, stage)?, from: constant, to: constant }]
        }
        TextOr::Full(shape) => {
            let kinds = [shape.peak.is_some(), shape.values.is_some(), shape.by.is_some()];
            if kinds.iter().filter(|given| **given).count() > 1 {
                return Err(Problem::at(
                    written.place,
                    "one shape at a time: a ramp, steps or a spike",
                ));
            }
            match kinds {
                [true, ..] => spike(shape, written.place, of)?,
                [_, true, _] | [.., true] => steps(shape, written.place, of)?,
                _ => vec![ramp(shape, file, written.place, stage, of)?],
            }
        }
    };
    let own_times =
        matches!(&written.value, TextOr::Full(s) if s.peak.is_some() || s.every.is_some());
    if let (true, Some(given)) = (own_times, &file.duration) {
        let sum: Duration = pieces.iter().map(|p| p.length).sum();
        if sum != given.get() {
            let message = format!(
                "`for` says {}, the shape's own times add up to {}: leave `for` out",
                given.value,
                Span::from(sum)
            );
            return Err(Problem::at(given.place, message));
        }
    }
    if pieces.iter().all(|p| p.from == 0.0 && p.to == 0.0) {
        return Err(Problem::at(
            written.place,
            "must be above zero; a stage that sends nothing says `pause: true`",
        ));
    }
    Ok(pieces)
}

type Maybe = Option<Located<Amount>>;

fn needed(amount: &Maybe, key: &str, place: Place, of: Of) -> Result<f64, Problem> {
    match amount {
        Some(amount) => value(&amount.value, amount.place, of).map_err(|e| e.within(key)),
        None => Err(Problem::at(place, format!("`{key}` is missing"))),
    }
}

fn needed_time(time: &Option<Located<Span>>, key: &str, place: Place) -> Result<Duration, Problem> {
    time.as_ref().map(|t| t.get()).ok_or_else(|| Problem::at(place, format!("`{key}` is missing")))
}

fn ramp(
    shape: &ShapeFile,
    file: &StageFile,
    place: Place,
    stage: Place,
    of: Of,
) -> Result<Piece, Problem> {
    if shape.every.is_some() {
        return Err(Problem::at(place, "`every` belongs to steps: say `by` or `values` as well"));
    }
    let from = needed(&shape.from, "from", place, of)?;
    let to = needed(&shape.to, "to", place, of)?;
    Ok(Piece { length: length(file, stage)?, from, to })
}

fn steps(shape: &ShapeFile, place: Place, of: Of) -> Result<Vec<Piece>, Problem> {
    let every = needed_time(&shape.every, "every", place)?;
    let piece = |at: f64| Piece { length: every, from: at, to: at };
    if let Some(values) = &shape.values {
        if values.is_empty() {
            return Err(Problem::at(values.place, "`values` has none"));
        }
        let each = values.iter().map(|v| value(&v.value, v.place, of).map(piece));
        return each.collect();
    }
    let from = needed(&shape.from, "from", place, of)?;
    let to = needed(&shape.to, "to", place, of)?;
    let by = needed(&shape.by, "by", place, of)?;
    if by == 0.0 {
        return Err(Problem::at(place, "`by` is zero: the steps would have no height"));
    }
    let count = ((to - from).abs() / by).ceil();
    if count > MAX_STEPS {
        return Err(Problem::at(
            place,
            format!("makes {count} steps; at most {MAX_STEPS} are taken"),
        ));
    }
    // The last step ends at `to`, also when the height does not divide the way.
    let at = |n: f64| if to >= from { (from + n * by).min(to) } else { (from - n * by).max(to) };
    Ok((0..=count as u32).map(|n| piece(at(n.into()))).collect())
}

fn spike(shape: &ShapeFile, place: Place, of: Of) -> Result<Vec<Piece>, Problem> {
    let base = needed(&shape.base, "base", place, of)?;
    let peak = needed(&shape.peak, "peak", place, of)?;
    let hold = needed_time(&shape.hold, "hold", place)?;
    let piece = |time: &Option<Located<Span>>, from, to| {
        time.as_ref().map(|t| Piece { length: t.get(), from, to })
    };
    let pieces = [
        piece(&shape.before, base, base),
        piece(&shape.rise, base, peak),
        Some(Piece { length: hold, from: peak, to: peak }),
        piece(&shape.fall, peak, base),
        piece(&shape.after, base, base),
    ];
    Ok(pieces.into_iter().flatten().collect())
}
