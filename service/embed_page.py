"""The page where the owner of another site chooses how the search box looks and copies the lines for it."""

# No postponed annotations here: the framework reads them.
from fastapi import FastAPI, Request, Response

from service.box import PATH, Box
from service.pages import Pages


def add_embed_page(app: FastAPI, pages: Pages, box: Box) -> None:
    """Add `/embed`; it needs no index, so that a site can be prepared before the library is."""

    @app.get("/embed", include_in_schema=False)
    def get_embed(request: Request) -> Response:
        origin = str(request.base_url).rstrip("/")
        return pages.embed(origin=origin, box_path=PATH, box_address=box.address, integrity=box.integrity)
