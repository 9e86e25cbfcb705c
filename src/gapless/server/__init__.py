"""The control room over HTTP: REST, live events, pages. Translates and calls; decides nothing."""
