//! The availability probe.

use std::time::Duration;

use super::{Builder, request::Asked};
use crate::{
    plan::ProbePlan,
    scenario::{
        file::ProbeFile,
        read::{Located, Place, Problem},
    },
    template::Template,
};

impl Builder<'_> {
    pub(super) fn probe(&mut self) -> Result<Option<ProbePlan>, Problem> {
        let Some(file) = &self.file.probe else { return Ok(None) };
        self.in_probe = true;
        let built = self.probe_of(file).map_err(|e| e.within("probe"));
        self.in_probe = false;
        built.map(Some)
    }

    fn probe_of(&mut self, located: &Located<ProbeFile>) -> Result<ProbePlan, Problem> {
        let file = &located.value;
        let asked = Asked {
            http: file.http.as_ref(),
            grpc: file.grpc.as_ref(),
            tcp: file.tcp.as_ref(),
            redis: file.redis.as_ref(),
            postgres: file.postgres.as_ref(),
            expect: file.expect.as_ref(),
            checks: &file.checks,
        };
        let kinds = "`http`, `grpc`, `tcp`, `redis` or `postgres`";
        if asked.count() > 1 {
            let message = format!("a probe asks one thing: {kinds}");
            return Err(Problem::at(located.place, message));
        }
        if let Some(tcp) = &file.tcp
            && tcp.fresh
        {
            let message = "a probe asks on a new connection and on a kept one: leave `fresh` out";
            return Err(Problem::at(tcp.place, message).within("tcp"));
        }
        let Some((request, name)) = self.asked(&asked)? else {
            let message = format!("a probe asks something: say {kinds}, such as `http: GET /`");
            return Err(Problem::at(located.place, message));
        };
        let mut probe = ProbePlan::new(name, request);
        probe.step.checks = self.expected(&asked, &probe.step.request)?;
        if let Some(every) = &file.every {
            if every.get() < Duration::from_millis(1) {
                let problem = Problem::at(every.place, "a probe is sent at most every 1ms");
                return Err(problem.within("every"));
            }
            probe.every = every.get();
        }
        if let Some(timeout) = file.timeout {
            probe.step.timeout = timeout.get();
        }
        Ok(probe)
    }
}

/// Refuses what is a user's own: a probe is no user's.
pub(super) fn refuse_users(template: &Template, place: Place) -> Result<(), Problem> {
    let Some(hole) = template.of_user() else { return Ok(()) };
    let message = format!(
        "a probe is no user's, so {hole:?} has no value in it: write one, or draw it ({{{{random.…}}}}, {{{{counter.…}}}})"
    );
    Err(Problem::at(place, message))
}
