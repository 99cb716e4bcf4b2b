"""The bridge: trees and failures become Sentry's items."""
