//! kge-search
