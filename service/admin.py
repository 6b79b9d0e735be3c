"""
Administering over HTTP, put together: there is none of it unless the operator set an admin token.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import FastAPI

from service.admin_documents import add_admin_documents
from service.admin_index import add_admin_index
from service.builds import Builds
from service.runtime import Service
from service.survey import Survey


@dataclass(frozen=True, slots=True)
class Admin:
    """What the admin routes of one application keep."""

    builds: Builds
    survey: Survey

    def stop(self) -> None:
        """Let builds that this process started end."""
        self.builds.stop()


def add_admin(app: FastAPI, service: Service) -> Admin | None:
    """Add the routes under /v1/admin if there is a token for them; without one the addresses do not exist."""
    if not service.settings.admin_tokens:
        return None
    admin = Admin(Builds(service.settings), Survey(service.settings.corpus, service.settings.model))
    add_admin_documents(app, service, admin.survey)
    add_admin_index(app, service, admin.builds)
    return admin
