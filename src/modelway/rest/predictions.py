"""The native API's predictions: which path asks which endpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from modelway.domain.errors import EndpointNotFound
from modelway.inference.dataplane import DataPlane
from modelway.inference.decoding import Limits
from modelway.rest.codecs import Formats
from modelway.rest.encoding import PREDICTION, AnswerEncoder
from modelway.rest.http import Answer, Request, Response
from modelway.rest.predict import Later, Prediction
from modelway.rest.routes import FromCells, Route
from modelway.rest.together import Asked
from modelway.settings import RestSettings


class Predictions:
    """What predicts, by endpoint; one that is new is found when it is first asked.

    ``later`` answers those who prefer it, where anything does.

    Raises:
        BadValue: ``output_names`` has a word that answers use for something else.
    """

    def __init__(
        self,
        plane: DataPlane,
        settings: RestSettings,
        output_names: Mapping[str, str],
        later: Later | None = None,
    ) -> None:
        self._plane = plane
        self.formats = Formats(settings)
        self._limits = Limits(settings.max_json_depth, settings.max_rows)
        self._words = output_names
        self._later = later
        self._found: dict[str, Prediction] = {}

    def of(self, endpoint: str) -> Prediction:
        """The predictions of an endpoint. Raises EndpointNotFound."""
        found = self._found.get(endpoint)
        if found is None:
            word = self._words.get(endpoint, PREDICTION)
            AnswerEncoder(self._plane.router.live(endpoint).bundle, word)
            found = Prediction(self._plane, endpoint, word, self.formats, self._limits, self._later)
            self._found[endpoint] = found
        return found

    def of_default(self) -> Prediction:
        """The predictions of the default endpoint. Raises EndpointNotFound."""
        default = self._plane.router.default()
        if default is None:
            raise EndpointNotFound(None, self._plane.router.endpoints())
        return self.of(default)

    def routes(self, page: Answer | None) -> Iterator[tuple[str, Route]]:
        """Every path that predicts; without a query the root answers with the page."""
        for name in self._plane.router.endpoints():
            # Looked up whole, the usual request needs no pattern.
            one = self.of(name)
            yield f"/models/{name}/predict", Route(GET=one.from_query, POST=one.from_body)
        yield "/models/{name}/predict", self._named()
        yield "/models/{name}/versions/{version}/predict", self._named()
        yield "/predict", Route(GET=self._default_query, POST=self._default_body)

        async def query_or_page(request: Request) -> Response:
            if page is not None and not request.query:
                return await page(request)
            return await self._default_query(request)

        yield "/", Route(GET=query_or_page)

    def from_cells(self, endpoint: str) -> FromCells:
        """What answers the path templates of an endpoint."""

        async def answer(request: Request, cells: Mapping[str, str]) -> Response:
            return await self.of(endpoint).from_path(request, cells)

        return answer

    def _named(self) -> Route:
        """The route of an endpoint that the path names."""

        async def from_query(request: Request) -> Response:
            return await self.of(request.captures["name"]).from_query(request)

        async def from_body(request: Request) -> Response:
            return await self.of(request.captures["name"]).from_body(request)

        return Route(GET=from_query, POST=from_body)

    async def _default_query(self, request: Request) -> Response:
        return await self.of_default().from_query(request)

    async def _default_body(self, request: Request) -> Response:
        answering = self.of_default().from_body(request)
        if request.notes is not None and request.notes.together is not None:
            request.notes.together = self._default_together  # by then it may be another one
        return await answering

    def _default_together(self, asked: Sequence[Asked]) -> None:
        default = self._plane.router.default()
        if default is not None:
            self.of(default).answer_together(asked)
