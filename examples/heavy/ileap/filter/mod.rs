//! The `$filter` of a list of footprints: the part of OData 4 that PACT 2.x names.

use std::cmp::Ordering;

use jiff::Timestamp;

use crate::errors::PactError;
use crate::model::ProductFootprint;

mod parser;

/// Conditions that a footprint meets all of. A source in a database makes a `WHERE` of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter(pub(crate) Vec<Condition>);

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// `productCategoryCpc eq '83117'`
    Text { property: TextProperty, operator: Operator, value: String },
    /// `created ge '2025-01-01T00:00:00+01:00'`
    Time { property: TimeProperty, operator: Operator, value: Timestamp },
    /// `productIds/any(id:(id eq 'urn:…'))`
    Any { property: SetProperty, value: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextProperty {
    ProductCategoryCpc,
    GeographyCountry,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeProperty {
    Created,
    Updated,
    ReferencePeriodStart,
    ReferencePeriodEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SetProperty {
    CompanyIds,
    ProductIds,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Eq,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Filter {
    /// Reads a filter. Nothing but spaces is one that everything meets.
    ///
    /// # Errors
    ///
    /// `NotImplemented` for OData that PACT doesn't name, `BadRequest` for what is no filter.
    pub(crate) fn parse(text: &str) -> Result<Self, PactError> {
        parser::parse(text).map(Self)
    }

    pub(crate) fn matches(&self, footprint: &ProductFootprint) -> bool {
        self.0.iter().all(|condition| condition.matches(footprint))
    }
}

impl Condition {
    /// Whether a footprint meets the condition. One without the property meets none, as OData has it.
    fn matches(&self, footprint: &ProductFootprint) -> bool {
        let pcf = &footprint.pcf;
        match self {
            Self::Text { property, operator, value } => {
                let found = match property {
                    TextProperty::ProductCategoryCpc => Some(footprint.product_category_cpc),
                    TextProperty::GeographyCountry => pcf.geography_country.as_deref(),
                };
                found.is_some_and(|found| operator.holds(found.cmp(value)))
            }
            Self::Time { property, operator, value } => {
                let found = match property {
                    TimeProperty::Created => Some(footprint.created),
                    TimeProperty::Updated => footprint.updated,
                    TimeProperty::ReferencePeriodStart => Some(pcf.reference_period_start),
                    TimeProperty::ReferencePeriodEnd => Some(pcf.reference_period_end),
                };
                found.is_some_and(|found| operator.holds(found.cmp(value)))
            }
            Self::Any { property, value } => match property {
                SetProperty::CompanyIds => footprint.company_ids.contains(value),
                SetProperty::ProductIds => footprint.product_ids.contains(value),
            },
        }
    }
}

impl Operator {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Eq => ordering.is_eq(),
            Self::Lt => ordering.is_lt(),
            Self::Le => ordering.is_le(),
            Self::Gt => ordering.is_gt(),
            Self::Ge => ordering.is_ge(),
        }
    }
}
