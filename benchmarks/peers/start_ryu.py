"""Starts ``ryu-manager`` of Ryu 4.34 with an eventlet that runs on today's Python; by itself it cannot."""

import eventlet

eventlet.monkey_patch()

import eventlet.wsgi  # noqa: E402

eventlet.wsgi.ALREADY_HANDLED = ()

from ryu.cmd.manager import main  # noqa: E402

main()
