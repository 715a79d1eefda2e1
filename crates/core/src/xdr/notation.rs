//! How the layout is written down: each type of an `.x` file in a line or a few.

/// The notation of the layout: `struct Name { field: Type, … }` and
/// `union Name { discriminant => arm: Type, … }`.
macro_rules! xdr {
    ($($kind:ident $name:ident { $($body:tt)* })*) => {
        $($crate::xdr::notation::xdr_item! { $kind $name { $($body)* } })*
    };
}

macro_rules! xdr_item {
    (struct $name:ident { $($field:ident : $type:ty),* $(,)? }) => {
        pub struct $name;

        impl $crate::xdr::schema::Xdr for $name {
            const FIXED: bool = true $(&& <$type as $crate::xdr::schema::Xdr>::FIXED)*;
            const SIZE: usize = 0 $(+ <$type as $crate::xdr::schema::Xdr>::SIZE)*;
            const CHECKED: bool =
                Self::FIXED && (false $(|| <$type as $crate::xdr::schema::Xdr>::CHECKED)*);

            #[inline(always)]
            #[allow(unused_assignments)]
            fn check(mut bytes: $crate::xdr::cursor::Input<'_>) -> bool {
                $(match $crate::xdr::schema::fixed::<$type>(bytes) {
                    Some(rest) => bytes = rest,
                    None => return false,
                })*
                true
            }

            #[inline]
            fn skip(
                mut bytes: $crate::xdr::cursor::Input<'_>,
                depth: u32,
            ) -> Option<$crate::xdr::cursor::Input<'_>> {
                $(bytes = $crate::xdr::schema::pass::<$type>(bytes, depth)?;)*
                Some(bytes)
            }

            fn trace<'a>(
                mut bytes: $crate::xdr::cursor::Input<'a>,
                depth: u32,
                trace: &mut $crate::xdr::trace::Trace,
            ) -> Option<$crate::xdr::cursor::Input<'a>> {
                $(bytes = trace.name::<$type>(stringify!($field), bytes, depth)?;)*
                Some(bytes)
            }
        }
    };
    (union $name:ident { $($tag:pat => $arm:ident : $type:ty),* $(,)? }) => {
        pub struct $name;

        impl $crate::xdr::schema::Xdr for $name {
            const FIXED: bool = true $(&& <$type as $crate::xdr::schema::Xdr>::FIXED)*
                && $crate::xdr::schema::all_equal(
                    &[$(<$type as $crate::xdr::schema::Xdr>::SIZE),*]);
            const SIZE: usize = 4 + [$(<$type as $crate::xdr::schema::Xdr>::SIZE),*][0];
            const CHECKED: bool = Self::FIXED;

            #[inline(always)]
            fn check(bytes: $crate::xdr::cursor::Input<'_>) -> bool {
                match $crate::xdr::cursor::i32(bytes) {
                    $(Some(($tag, rest)) => $crate::xdr::schema::fixed::<$type>(rest).is_some(),)*
                    _ => false,
                }
            }

            #[inline]
            fn skip(bytes: $crate::xdr::cursor::Input<'_>, depth: u32) -> Option<$crate::xdr::cursor::Input<'_>> {
                let (tag, rest) = $crate::xdr::cursor::i32(bytes)?;
                match tag {
                    $($tag => $crate::xdr::schema::pass::<$type>(rest, depth),)*
                    _ => None,
                }
            }

            fn trace<'a>(
                bytes: $crate::xdr::cursor::Input<'a>,
                depth: u32,
                trace: &mut $crate::xdr::trace::Trace,
            ) -> Option<$crate::xdr::cursor::Input<'a>> {
                let (tag, rest) = trace.read(bytes, $crate::xdr::cursor::i32(bytes), 4)?;
                match tag {
                    $($tag => trace.name::<$type>(stringify!($arm), rest, depth),)*
                    _ => trace.fault(bytes, || format!(
                        "holds arm {tag} of {}, which this version does not know",
                        stringify!($name))),
                }
            }
        }
    };
}

pub(crate) use {xdr, xdr_item};
