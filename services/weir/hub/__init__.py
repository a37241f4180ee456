"""hub: answers people and programs. It takes `entries` as they come (only while somebody follows), history from the
archive, and health, control, rules and endpoints as tables; it makes REST, a WebSocket, metrics and the page.

It never decodes, never keeps entries, and answers nobody who does not have the token.
"""
