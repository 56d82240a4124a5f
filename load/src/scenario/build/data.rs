//! Data sets.

use super::{Builder, RESERVED, unique};
use crate::{
    scenario::{
        file::{DataFile, OrderFile},
        read::{Problem, TextOr},
    },
    template::{DataSet, Order},
};

impl Builder<'_> {
    pub(super) fn data(&mut self) -> Result<(), Problem> {
        for (name, data) in &self.file.data.0 {
            let within = |e: Problem| e.within(name.as_str()).within("data");
            unique(RESERVED.into_iter(), name, name.place, "meaning of").map_err(within)?;
            let (file, order) = match &data.value {
                TextOr::Text(file) => (file, OrderFile::default()),
                TextOr::Full(DataFile { file, order }) => (file, *order),
            };
            let order = match order {
                OrderFile::Sequential => Order::Sequential,
                OrderFile::Random => Order::Random,
                OrderFile::PerUser => Order::PerUser,
            };
            let set = DataSet::read(&self.dir.join(file), order)
                .map_err(|e| within(Problem::at(data.place, e.to_string())))?;
            self.scope.add_data(name.as_str(), set);
        }
        Ok(())
    }
}
